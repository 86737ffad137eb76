"""The services' tokens: made, kept, used to see what they may do, moved over to new ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from influxdb_client import Permission, PermissionResource

from stack.setup.authorizations import Authorizations
from stack.setup.plan import Action, Plan, ServiceName
from stack.setup.server import RequestRefused, Server, SetupError, is_sendable
from telemetry.private_files import write_private
from telemetry.settings import Secret
from telemetry.store import StoreMisconfigured

_ACTIONS: tuple[Action, ...] = ("read", "write")
_FOREIGN_BUCKET = "_monitoring"  # InfluxDB's own: every organisation has it


class KeptTokens(Protocol):
    """Where the services' tokens are between two set-ups."""

    def find(self, name: ServiceName) -> Secret | None:
        """Return a token, or None where there is none."""

    def keep(self, name: ServiceName, token: Secret) -> str:
        """Keep a token; return where, as the end of a sentence."""


class TokenFolder:
    """Keeps each token in a file that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: ServiceName) -> Secret | None:
        """Return what the file of a token holds."""
        path = self._path(name)
        return Secret(path.read_text().strip()) if path.exists() else None

    def keep(self, name: ServiceName, token: Secret) -> str:
        """Write the file of a token."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return f": {write_private(self._path(name), token.value)}"

    def _path(self, name: ServiceName) -> Path:
        return self._folder / f"{name}-token"


class TokensInMemory:
    """Keeps the tokens nowhere: whoever gave them takes them back."""

    def __init__(self, given: dict[ServiceName, str]) -> None:
        self.values = {name: value for name, value in given.items() if value}

    def find(self, name: ServiceName) -> Secret | None:
        """Return a token that was given or made."""
        return Secret(self.values[name]) if name in self.values else None

    def keep(self, name: ServiceName, token: Secret) -> str:
        """Hold a token until it is asked for."""
        self.values[name] = token.value
        return ""


class ServiceTokens:
    """One narrow token a service; the methods yield what they changed, in words."""

    def __init__(self, server: Server, plan: Plan, kept: KeptTokens) -> None:
        self._server = server
        self._plan = plan
        self._kept = kept
        self._authorizations = Authorizations(server, plan.bucket)

    def make(self) -> Iterator[str]:
        """Make the tokens that are lacking or do not work."""
        for name in self._plan.tokens:
            if self._works(name):
                continue
            # InfluxDB keeps only a hash of a token: one that was lost is replaced. So is one whose
            # bucket was deleted: its rights do not hold for another bucket of that name.
            self._authorizations.forget(name)
            yield f"made the token of {name}, which may {self._make(name)}"

    def rotate(self) -> Iterator[str]:
        """Make new tokens beside the old ones, which go on working until `retire`."""
        for name in self._plan.tokens:
            yield f"made a token of {name} beside the old one, which may {self._make(name)}"

    def check_retirable(self) -> None:
        """Raise RequestRefused unless all tokens that are kept work and can be told from others."""
        for name in self._plan.tokens:
            token = self._kept.find(name)
            if token is None or not self._works(name):
                text = f"retire needs the tokens that the services use now: {name}'s"
                raise RequestRefused(f"{text} {'is not given' if token is None else 'is refused'}")
            if self._authorizations.of(name, token) is None:
                raise RequestRefused(f"the token of {name} bears no fingerprint: rotate first")

    def retire(self) -> Iterator[str]:
        """Delete all of our tokens but those that are kept."""
        for name in self._plan.tokens:
            gone = self._authorizations.forget(name, but=self._kept.find(name))
            if gone:
                yield f"deleted {gone} old tokens of {name}"

    def verify(self) -> None:
        """Use each token where it must work, and see it refused where it must not."""
        for name, (action, buckets) in self._plan.tokens.items():
            for bucket in (*self._plan.buckets, _FOREIGN_BUCKET):
                for tried in _ACTIONS:
                    self._expect(name, tried, bucket, tried == action and bucket in buckets)

    def _make(self, name: ServiceName) -> str:
        action, buckets = self._plan.tokens[name]
        org_id = self._server.organisation_id()
        permissions = [
            Permission(
                action=action,
                resource=PermissionResource(
                    type="buckets",
                    id=self._server.existing(self._server.bucket(bucket)).id,
                    org_id=org_id,
                ),
            )
            for bucket in buckets
        ]
        where = self._kept.keep(name, self._authorizations.make(name, permissions))
        return f"{action} {', '.join(buckets)}{where}"

    def _works(self, name: ServiceName) -> bool:
        """Whether a token does what it is for; a server that does not answer raises StoreError."""
        token = self._kept.find(name)
        if token is None or not is_sendable(token):
            return False
        action, buckets = self._plan.tokens[name]
        try:
            for bucket in buckets:
                self._use(token, action, bucket)
        except StoreMisconfigured:
            return False
        return True

    def _use(self, token: Secret, action: Action, bucket: str) -> None:
        """Write or read nothing; StoreMisconfigured where the token may not."""
        session = self._server.session(bucket, token)
        try:
            if action == "write":
                session.check_write_access()
            else:
                session.check_read_access()
        finally:
            session.close()

    def _expect(self, name: ServiceName, action: Action, bucket: str, allowed: bool) -> None:
        token = self._server.existing(self._kept.find(name))
        try:
            self._use(token, action, bucket)
        except StoreMisconfigured as error:
            if allowed:
                text = f"the token of {name} cannot {action} {bucket}: {error}"
                raise SetupError(text) from error
        else:
            if not allowed:
                raise SetupError(f"the token of {name} can {action} {bucket}, and must not")
