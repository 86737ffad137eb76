"""The authorizations that are ours, known again by their descriptions.

InfluxDB keeps only the hash of a token and does not say whose it is. So the description ends with a
fingerprint of the token, `denyut telemetry ingest 1f0c…`: whoever holds a token finds its
authorization, and nobody finds the token.
"""

import hashlib
import re
from typing import Any

from influxdb_client import Authorization, AuthorizationsService, AuthorizationUpdateRequest

from stack.setup.server import Server
from telemetry.settings import Secret

_FINGERPRINT_DIGITS = 16


class Authorizations:
    """Makes, finds and deletes what was made for one bucket of readings and those made of it."""

    def __init__(self, server: Server, bucket: str) -> None:
        self._server = server
        # Of its bucket: an organisation may hold another set-up, as one for trying things out.
        self._prefix = f"denyut {bucket}"

    def make(self, name: str, permissions: list[Any]) -> Secret:
        """Make an authorization beside those that are there; return its token."""
        wanted = Authorization(org_id=self._server.organisation_id(), permissions=permissions)
        wanted.description = f"{self._prefix} {name}"
        made = self._server.client.authorizations_api().create_authorization(authorization=wanted)
        token = Secret(str(made.token))
        self.mark(name, made.id, token)
        return token

    def mark(self, name: str, authorization_id: str, token: Secret) -> None:
        """Describe an authorization so that its token tells it."""
        wanted = AuthorizationUpdateRequest(description=self._description(name, token))
        service = AuthorizationsService(self._server.client.api_client)
        service.patch_authorizations_id(authorization_id, wanted)

    def of(self, name: str, token: Secret) -> Any | None:
        """Return the authorization of a token, or None where it is not one of ours."""
        described = self._description(name, token)
        return next((one for one in self._ours(name) if one.description == described), None)

    def forget(self, name: str, *, but: Secret | None = None) -> int:
        """Delete those of a name, all but the one of a token; return how many there were."""
        kept = None if but is None else self._description(name, but)
        gone = [one for one in self._ours(name) if one.description != kept]
        for one in gone:
            self._server.client.authorizations_api().delete_authorization(one)
        return len(gone)

    def _ours(self, name: str) -> list[Any]:
        described = re.compile(
            rf"{re.escape(self._prefix)} {name}( [0-9a-f]{{{_FINGERPRINT_DIGITS}}})?"
        )
        api = self._server.client.authorizations_api()
        found = api.find_authorizations(org=self._server.org)
        return [one for one in found if described.fullmatch(one.description or "")]

    def _description(self, name: str, token: Secret) -> str:
        fingerprint = hashlib.sha256(token.value.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
        return f"{self._prefix} {name} {fingerprint}"
