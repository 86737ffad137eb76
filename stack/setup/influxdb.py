"""InfluxDB made ready: onboarding, buckets, downsampling tasks, and one narrow token a service.

Everything can be done again: what is there and right stays as it is.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from influxdb_client import (
    BucketRetentionRules,
    OnboardingRequest,
    SetupService,
    TaskCreateRequest,
    TaskUpdateRequest,
)

from stack.setup import rollup
from stack.setup.operator_token import OperatorToken
from stack.setup.plan import Plan
from stack.setup.server import Server, SetupError
from stack.setup.tokens import KeptTokens, ServiceTokens
from telemetry.settings import Secret

_DAY_SECONDS = 86_400
_ROLL_UP_TIMEOUT_MS = 600_000  # an hour of 5,000 readings a second takes minutes


class InfluxSetup:
    """Makes one server what a plan says; its methods return what they changed, in words."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self._server = server
        self._client = server.client
        self._plan = plan

    def apply(self, kept: KeptTokens, admin_password: Secret | None) -> Iterator[str]:
        """Do what is lacking, yielding a line for each change.

        The password is that of InfluxDB's own page, for the first set-up of a server.
        """
        tokens = ServiceTokens(self._server, self._plan, kept)
        with self._server.errors():
            self._server.version()
            yield from self._onboard(admin_password)
            yield from self._make_organisation()
            yield from self._make_buckets()
            yield from self._make_tasks()
            yield from tokens.make()
            tokens.verify()

    def roll_up(self, start: datetime) -> Iterator[datetime]:
        """Make minutes and hours again from `start` until now; yield each hour when it is done."""
        self._client.api_client.configuration.timeout = _ROLL_UP_TIMEOUT_MS
        queries = self._client.query_api()
        with self._server.errors():
            for hour, window in rollup.hourly_windows(start, datetime.now(UTC)):
                queries.query(rollup.minutes(self._plan.bucket, window))
                queries.query(rollup.hours(self._plan.bucket, window))
                yield hour

    def _onboard(self, admin_password: Secret | None) -> Iterator[str]:
        service = SetupService(self._client.api_client)
        if not service.get_setup().allowed:
            return
        if admin_password is None:
            raise SetupError("the first set-up of a server needs SETUP_ADMIN_PASSWORD_FILE")
        made = service.post_setup(
            OnboardingRequest(
                username=self._plan.admin,
                password=admin_password.value,
                org=self._plan.org,
                bucket=self._plan.bucket,
                retention_period_seconds=self._plan.retention_days * _DAY_SECONDS,
                token=self._server.operator_token.value,
            )
        )
        OperatorToken(self._server, self._plan.bucket).mark(made.auth.id)
        yield f"set up the server with the organisation {self._plan.org}"

    def _make_organisation(self) -> Iterator[str]:
        if self._server.organisation() is None:
            self._client.organizations_api().create_organization(name=self._plan.org)
            yield f"made the organisation {self._plan.org}"

    def _make_buckets(self) -> Iterator[str]:
        buckets = self._client.buckets_api()
        for name, days in self._plan.buckets.items():
            seconds = days * _DAY_SECONDS
            found = self._server.bucket(name)
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
