"""A set-up that keeps nothing: secrets come in as one JSON object and go out as another.

Tokens move over without a gap in two exchanges: `rotate` makes new ones beside the old, and when
all services use them `retire` deletes every token of ours that is not given.
"""

from collections.abc import Callable

from msgspec import UNSET, Struct, UnsetType

from stack.setup.influxdb import InfluxSetup
from stack.setup.operator_token import OperatorToken
from stack.setup.plan import Plan, ServiceName
from stack.setup.secrets_in import ExchangeRequest
from stack.setup.server import RequestRefused, Server
from stack.setup.tokens import ServiceTokens, TokensInMemory
from telemetry.settings import Secret

Report = Callable[[str], None]


class ExchangeAnswer(Struct, kw_only=True):
    """The tokens to use from now on, and what was changed, in words."""

    tokens: dict[ServiceName, str]
    changes: list[str]
    operator_token: str | UnsetType = UNSET


def exchange(
    server: Server, plan: Plan, request: ExchangeRequest, wait_seconds: float, report: Report
) -> ExchangeAnswer:
    """Wait for the server and do what is asked, telling each change when it is done."""
    if request.retire and (request.rotate or request.new_operator):
        raise RequestRefused("retire is a second exchange, when the services use the new tokens")
    server.wait(wait_seconds)
    return _Exchange(server, plan, request, report).run()


class _Exchange:
    def __init__(
        self, server: Server, plan: Plan, request: ExchangeRequest, report: Report
    ) -> None:
        self._server = server
        self._request = request
        self._report = report
        self._changes: list[str] = []
        self._kept = TokensInMemory(request.tokens)
        self._tokens = ServiceTokens(server, plan, self._kept)
        self._operator = OperatorToken(server, plan.bucket)
        self._setup = InfluxSetup(server, plan)

    def run(self) -> ExchangeAnswer:
        given = self._request.admin_password
        password = None if given is None else Secret(given)
        with self._server.errors():
            if self._request.retire:
                self._tokens.check_retirable()
            for change in self._setup.apply(self._kept, password):
                self._note(change)
            new_operator = self._replace_operator() if self._request.new_operator else UNSET
            if self._request.rotate:
                for change in self._tokens.rotate():
                    self._note(change)
                self._tokens.verify()
            if self._request.retire:
                for change in (*self._tokens.retire(), *self._operator.retire()):
                    self._note(change)
        return ExchangeAnswer(
            tokens=self._kept.values, changes=self._changes, operator_token=new_operator
        )

    def _replace_operator(self) -> str:
        token = self._operator.make()
        self._note("made an operator token beside the old one")
        return token.value

    def _note(self, change: str) -> None:
        self._changes.append(change)
        self._report(change)
