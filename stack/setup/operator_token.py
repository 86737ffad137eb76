"""The operator's token, which may do everything: known again, and moved over to a new one."""

from collections.abc import Iterator
from typing import Any

from stack.setup.authorizations import Authorizations
from stack.setup.server import Server, SetupError
from telemetry.settings import Secret

_NAME = "operator"


class OperatorToken:
    """The token with which a server is talked to, and its successor."""

    def __init__(self, server: Server, bucket: str) -> None:
        self._server = server
        self._authorizations = Authorizations(server, bucket)

    def mark(self, authorization_id: str) -> None:
        """Describe the authorization of the token in use, at a server's first set-up."""
        self._authorizations.mark(_NAME, authorization_id, self._server.operator_token)

    def make(self) -> Secret:
        """Make a token that may all that the one in use may; that one goes on working."""
        return self._authorizations.make(_NAME, self._used().permissions)

    def retire(self) -> Iterator[str]:
        """Delete all but the one in use; say so."""
        in_use = self._server.operator_token
        if self._authorizations.of(_NAME, in_use) is None:
            return
        gone = self._authorizations.forget(_NAME, but=in_use)
        if gone:
            yield f"deleted {gone} old tokens of the operator"

    def _used(self) -> Any:
        found = self._authorizations.of(_NAME, self._server.operator_token)
        if found is None:
            raise SetupError(
                "the operator token is not one that denyut-setup made known to this server:"
                " replace it on InfluxDB's own page"
            )
        return found
