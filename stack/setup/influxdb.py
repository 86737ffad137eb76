"""InfluxDB made ready: onboarding, buckets, downsampling tasks, and one narrow token a service.

Everything can be done again: what is there and right stays as it is.
"""

from collections.abc import Iterator
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
from influxdb_client.rest import ApiException
from msgspec import Struct

from stack import StackError
from stack.setup import rollup
from stack.workspace import write_private
from telemetry.settings import Secret
from telemetry.store import StoreError, StoreMisconfigured
from telemetry.store.influxdb.session import InfluxSession, Place

Action = Literal["read", "write"]
_DAY_SECONDS = 86_400
_TIMEOUT_MS = 60_000


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
        """The tokens: what each may do, and in which buckets."""
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

    def apply(self, tokens_folder: Path, admin_password: Secret) -> Iterator[str]:
        """Do what is lacking, yielding a line for each change."""
        try:
            self._place(self._plan.bucket, self._operator_token).version()
            yield from self._onboard(admin_password)
            yield from self._make_buckets()
            yield from self._make_tasks()
            yield from self._make_tokens(tokens_folder)
            self._verify_tokens(tokens_folder)
        except ApiException as error:
            raise SetupError(f"{self._url}: {error.status}: {error.message}") from error
        except (urllib3.exceptions.HTTPError, StoreError) as error:
            raise SetupError(str(error)) from error

    def roll_up(self, start: datetime) -> Iterator[datetime]:
        """Make minutes and hours again from `start` until now; yield each hour when it is done."""
        queries = self._client.query_api()
        try:
            for hour, window in rollup.hourly_windows(start, datetime.now(UTC)):
                queries.query(rollup.minutes(self._plan.bucket, window))
                queries.query(rollup.hours(self._plan.bucket, window))
                yield hour
        except ApiException as error:
            raise SetupError(f"{self._url}: {error.status}: {error.message}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _onboard(self, admin_password: Secret) -> Iterator[str]:
        service = SetupService(self._client.api_client)
        if not service.get_setup().allowed:
            return
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

    def _make_buckets(self) -> Iterator[str]:
        buckets = self._client.buckets_api()
        for name, days in self._plan.buckets.items():
            seconds = days * _DAY_SECONDS
            found = buckets.find_bucket_by_name(name)
            if found is None:
                rules = BucketRetentionRules(type="expire", every_seconds=seconds)
                buckets.create_bucket(bucket_name=name, retention_rules=rules, org=self._plan.org)
                yield f"made the bucket {name}, which keeps its points for {days} days"
            elif not found.retention_rules or found.retention_rules[0].every_seconds != seconds:
                found.retention_rules = [BucketRetentionRules(type="expire", every_seconds=seconds)]
                buckets.update_bucket(found)
                yield f"the bucket {name} keeps its points for {days} days now"

    def _make_tasks(self) -> Iterator[str]:
        tasks = self._client.tasks_api()
        for name, flux in self._plan.tasks.items():
            found = tasks.find_tasks(name=name)
            if not found:
                request = TaskCreateRequest(flux=flux, org=self._plan.org)
                tasks.create_task(task_create_request=request)
                yield f"made the task {name}"
            elif found[0].flux != flux:
                tasks.update_task_request(found[0].id, TaskUpdateRequest(flux=flux))
                yield f"the task {name} is up to date now"

    def _make_tokens(self, folder: Path) -> Iterator[str]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, (action, buckets) in self._plan.tokens.items():
            path = folder / f"{name}-token"
            if path.exists() and self._is_good(path, action, buckets):
                continue
            # InfluxDB keeps only a hash of a token: one that was lost is replaced. So is one whose
            # bucket was deleted: its rights do not hold for another bucket of that name.
            self._forget(name)
            write_private(path, self._new_token(name, action, buckets))
            yield f"made the token of {name}, which may {action} {', '.join(buckets)}: {path}"

    def _is_good(self, path: Path, action: Action, buckets: tuple[str, ...]) -> bool:
        token = Secret(path.read_text().strip())
        return all(self._may(token, action, bucket) for bucket in buckets)

    def _may(self, token: Secret, action: Action, bucket: str) -> bool:
        session = self._place(bucket, token)
        try:
            if action == "write":
                session.check_write_access()
            else:
                session.check_read_access()
        except StoreMisconfigured:
            return False
        finally:
            session.close()
        return True

    def _new_token(self, name: str, action: Action, buckets: tuple[str, ...]) -> str:
        org_id = self._org_id()
        api = self._client.buckets_api()
        permissions = [
            Permission(
                action=action,
                resource=PermissionResource(
                    type="buckets", id=api.find_bucket_by_name(bucket).id, org_id=org_id
                ),
            )
            for bucket in buckets
        ]
        wanted = Authorization(org_id=org_id, permissions=permissions)
        wanted.description = _description(name)
        made = self._client.authorizations_api().create_authorization(authorization=wanted)
        return str(made.token)

    def _forget(self, name: str) -> None:
        api = self._client.authorizations_api()
        for found in api.find_authorizations(org=self._plan.org):
            if found.description == _description(name):
                api.delete_authorization(found)

    def _org_id(self) -> str:
        found = self._client.organizations_api().find_organizations(org=self._plan.org)
        return str(found[0].id)

    def _verify_tokens(self, folder: Path) -> None:
        """Use each token where it must work, and see it refused where it must not."""
        for name, (action, buckets) in self._plan.tokens.items():
            token = Secret((folder / f"{name}-token").read_text().strip())
            for bucket in self._plan.buckets:
                session = self._place(bucket, token)
                allowed = action if bucket in buckets else None
                _expect(name, session.check_write_access, bucket, "write", allowed == "write")
                _expect(name, session.check_read_access, bucket, "read", allowed == "read")
                session.close()

    def _place(self, bucket: str, token: Secret) -> InfluxSession:
        place = Place(self._url, self._plan.org, bucket)
        return InfluxSession(place, token, _TIMEOUT_MS / 1000)


def _description(name: str) -> str:
    return f"denyut {name}"


def _expect(name: str, check: Any, bucket: str, action: Action, allowed: bool) -> None:
    try:
        check()
    except StoreError as error:
        if allowed:
            raise SetupError(f"the token of {name} cannot {action} {bucket}: {error}") from error
    else:
        if not allowed:
            raise SetupError(f"the token of {name} can {action} {bucket}, and must not")
