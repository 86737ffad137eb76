"""InfluxDB made ready: onboarding, buckets, downsampling tasks, and one narrow token a service.

Everything can be done again: what is there and right stays as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import urllib3.exceptions
from influxdb_client import (
    Authorization,
    BucketRetentionRules,
    InfluxDBClient,
    OnboardingRequest,
    Permission,
    PermissionResource,
    SetupService,
    TaskCreateRequest,
    TaskUpdateRequest,
)
from influxdb_client.client.flux_csv_parser import FluxQueryException
from influxdb_client.rest import ApiException
from msgspec import Struct

from stack import StackError
from stack.setup import rollup
from stack.workspace import write_private
from telemetry.settings import Secret
from telemetry.store import StoreError, StoreMisconfigured
from telemetry.store.influxdb.session import InfluxSession, Place

Action = Literal["read", "write"]
_ACTIONS: tuple[Action, ...] = ("read", "write")
_DAY_SECONDS = 86_400
_TIMEOUT_MS = 60_000
_ROLL_UP_TIMEOUT_MS = 600_000  # an hour of 5,000 readings a second takes minutes
_FOREIGN_BUCKET = "_monitoring"  # InfluxDB's own: every organisation has it
_NOT_FOUND = 404


class SetupError(StackError):
    """Raised when InfluxDB refuses a step, or is not the one that was expected."""


class Plan(Struct, frozen=True, kw_only=True):
    """What there shall be."""

    org: str = "denyut"
    bucket: str = "telemetry"
    admin: str = "denyut"
    retention_days: int = 30
    minutes_retention_days: int = 365
    hours_retention_days: int = 3650

    @property
    def buckets(self) -> dict[str, int]:
        """The buckets and how many days each keeps its points."""
        return {
            self.bucket: self.retention_days,
            f"{self.bucket}_1m": self.minutes_retention_days,
            f"{self.bucket}_1h": self.hours_retention_days,
        }

    @property
    def tasks(self) -> dict[str, str]:
        """The tasks and their Flux."""
        return {
            f"{self.bucket}_1m": rollup.minutes_task(self.bucket),
            f"{self.bucket}_1h": rollup.hours_task(self.bucket),
        }

    @property
    def tokens(self) -> dict[str, tuple[Action, tuple[str, ...]]]:
        """The tokens: what each may do, and in which buckets; in all others nothing."""
        return {
            "ingest": ("write", (self.bucket,)),
            "api": ("read", tuple(self.buckets)),
            "grafana": ("read", tuple(self.buckets)),
        }


class InfluxSetup:
    """Makes one server what a plan says; its methods return what they changed, in words."""

    def __init__(self, url: str, operator_token: Secret, plan: Plan) -> None:
        self._url = url
        self._operator_token = operator_token
        self._plan = plan
        self._client = InfluxDBClient(
            url=url, token=operator_token.value, org=plan.org, timeout=_TIMEOUT_MS
        )

    def apply(self, tokens_folder: Path, admin_password: Secret | None) -> Iterator[str]:
        """Do what is lacking, yielding a line for each change.

        The password is that of InfluxDB's own page, for the first set-up of a server.
        """
        with self._setup_errors():
            session = self._session(self._plan.bucket, self._operator_token)
            session.version()
            session.close()
            yield from self._onboard(admin_password)
            yield from self._make_organisation()
            yield from self._make_buckets()
            yield from self._make_tasks()
            yield from self._make_tokens(tokens_folder)
            self._verify_tokens(tokens_folder)

    def roll_up(self, start: datetime) -> Iterator[datetime]:
        """Make minutes and hours again from `start` until now; yield each hour when it is done."""
        self._client.api_client.configuration.timeout = _ROLL_UP_TIMEOUT_MS
        queries = self._client.query_api()
        with self._setup_errors():
            for hour, window in rollup.hourly_windows(start, datetime.now(UTC)):
                queries.query(rollup.minutes(self._plan.bucket, window))
                queries.query(rollup.hours(self._plan.bucket, window))
                yield hour

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _setup_errors(self) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            raise SetupError(f"{self._url}: {error.status}: {error.message}") from error
        except urllib3.exceptions.HTTPError as error:
            raise SetupError(f"{self._url}: {error}") from error
        except (FluxQueryException, StoreError) as error:
            raise SetupError(str(error)) from error

    def _onboard(self, admin_password: Secret | None) -> Iterator[str]:
        service = SetupService(self._client.api_client)
        if not service.get_setup().allowed:
            return
        if admin_password is None:
            raise SetupError("the first set-up of a server needs SETUP_ADMIN_PASSWORD_FILE")
        service.post_setup(
            OnboardingRequest(
                username=self._plan.admin,
                password=admin_password.value,
                org=self._plan.org,
                bucket=self._plan.bucket,
                retention_period_seconds=self._plan.retention_days * _DAY_SECONDS,
                token=self._operator_token.value,
            )
        )
        yield f"set up the server with the organisation {self._plan.org}"

    def _make_organisation(self) -> Iterator[str]:
        if self._organisation() is None:
            self._client.organizations_api().create_organization(name=self._plan.org)
            yield f"made the organisation {self._plan.org}"

    def _make_buckets(self) -> Iterator[str]:
        buckets = self._client.buckets_api()
        for name, days in self._plan.buckets.items():
            seconds = days * _DAY_SECONDS
            found = self._bucket(name)
            if found is None:
                rules = BucketRetentionRules(type="expire", every_seconds=seconds)
                buckets.create_bucket(bucket_name=name, retention_rules=rules, org=self._plan.org)
                yield f"made the bucket {name}, which keeps its points for {days} days"
            elif not found.retention_rules or found.retention_rules[0].every_seconds != seconds:
                # Without a shard duration of the old rule, which may be longer than the new one.
                rules = BucketRetentionRules(
                    type="expire", every_seconds=seconds, shard_group_duration_seconds=0
                )
                found.retention_rules = [rules]
                buckets.update_bucket(found)
                yield f"the bucket {name} keeps its points for {days} days now"

    def _make_tasks(self) -> Iterator[str]:
        tasks = self._client.tasks_api()
        for name, flux in self._plan.tasks.items():
            found = tasks.find_tasks(name=name, org=self._plan.org)
            if not found:
                request = TaskCreateRequest(flux=flux, org=self._plan.org)
                tasks.create_task(task_create_request=request)
                yield f"made the task {name}; what is older than it: denyut-setup rollup"
            elif found[0].flux != flux:
                tasks.update_task_request(found[0].id, TaskUpdateRequest(flux=flux))
                yield f"the task {name} is up to date now"

    def _make_tokens(self, folder: Path) -> Iterator[str]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, (action, buckets) in self._plan.tokens.items():
            path = folder / f"{name}-token"
            if path.exists() and self._works(path, action, buckets):
                continue
            # InfluxDB keeps only a hash of a token: one that was lost is replaced. So is one whose
            # bucket was deleted: its rights do not hold for another bucket of that name.
            self._forget(name)
            write_private(path, self._new_token(name, action, buckets))
            yield f"made the token of {name}, which may {action} {', '.join(buckets)}: {path}"

    def _works(self, path: Path, action: Action, buckets: tuple[str, ...]) -> bool:
        """Whether a token does what it is for; a server that does not answer raises StoreError."""
        try:
            for bucket in buckets:
                self._use(_kept_token(path), action, bucket)
        except StoreMisconfigured:
            return False
        return True

    def _use(self, token: Secret, action: Action, bucket: str) -> None:
        """Write or read nothing; StoreMisconfigured where the token may not."""
        session = self._session(bucket, token)
        try:
            if action == "write":
                session.check_write_access()
            else:
                session.check_read_access()
        finally:
            session.close()

    def _new_token(self, name: str, action: Action, buckets: tuple[str, ...]) -> str:
        org_id = self._existing(self._organisation()).id
        permissions = [
            Permission(
                action=action,
                resource=PermissionResource(
                    type="buckets", id=self._existing(self._bucket(bucket)).id, org_id=org_id
                ),
            )
            for bucket in buckets
        ]
        wanted = Authorization(org_id=org_id, permissions=permissions)
        wanted.description = self._description(name)
        made = self._client.authorizations_api().create_authorization(authorization=wanted)
        return str(made.token)

    def _forget(self, name: str) -> None:
        api = self._client.authorizations_api()
        for found in api.find_authorizations(org=self._plan.org):
            if found.description == self._description(name):
                api.delete_authorization(found)

    def _description(self, name: str) -> str:
        # Of its bucket: an organisation may hold another set-up, as one for trying things out.
        return f"denyut {self._plan.bucket} {name}"

    def _verify_tokens(self, folder: Path) -> None:
        """Use each token where it must work, and see it refused where it must not."""
        for name, (action, buckets) in self._plan.tokens.items():
            token = _kept_token(folder / f"{name}-token")
            for bucket in (*self._plan.buckets, _FOREIGN_BUCKET):
                for tried in _ACTIONS:
                    self._expect(
                        name, token, tried, bucket, (tried, bucket) in _may(action, buckets)
                    )

    def _expect(self, name: str, token: Secret, action: Action, bucket: str, allowed: bool) -> None:
        try:
            self._use(token, action, bucket)
        except StoreMisconfigured as error:
            if allowed:
                text = f"the token of {name} cannot {action} {bucket}: {error}"
                raise SetupError(text) from error
        else:
            if not allowed:
                raise SetupError(f"the token of {name} can {action} {bucket}, and must not")

    def _organisation(self) -> Any | None:
        api = self._client.organizations_api()
        return _first(lambda: api.find_organizations(org=self._plan.org))

    def _bucket(self, name: str) -> Any | None:
        """Return a bucket of the plan's organisation: another one may have one of the same name."""
        api = self._client.buckets_api()
        return _first(lambda: api.find_buckets(org=self._plan.org, name=name).buckets)

    def _existing(self, found: Any | None) -> Any:
        if found is None:
            raise SetupError(f"{self._url}: what was just made is gone: is another set-up running?")
        return found

    def _session(self, bucket: str, token: Secret) -> InfluxSession:
        place = Place(self._url, self._plan.org, bucket)
        return InfluxSession(place, token, _TIMEOUT_MS / 1000)


def _may(action: Action, buckets: tuple[str, ...]) -> set[tuple[Action, str]]:
    return {(action, bucket) for bucket in buckets}


def _kept_token(path: Path) -> Secret:
    return Secret(path.read_text().strip())


def _first(find: Callable[[], list[Any]]) -> Any | None:
    """Return the first that is found; InfluxDB answers 404 where nothing has the name."""
    try:
        found = find()
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        return None
    return found[0] if found else None
