"""What an operator may do to InfluxDB by mistake: revoke a token, delete the bucket."""

from pathlib import Path

from influxdb_client import InfluxDBClient

from stack import StackError
from stack.influxdb import set_up
from stack.setup.authorizations import Authorizations
from stack.setup.server import Server
from telemetry.settings import Secret

_ORG = "denyut"
_BUCKET = "telemetry"


class InfluxAdmin:
    """The operator of a local stack's InfluxDB, whose files are in `folder`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def revoke_token(self, service: str) -> None:
        """Revoke a service's token; its file stays as it is."""
        server = Server(self._url, Secret(self._operator_token()), _ORG)
        with server.errors():
            if not Authorizations(server, _BUCKET).forget(service):
                raise StackError(f"InfluxDB knows no token of {service!r}")
        server.close()

    def delete_bucket(self) -> None:
        """Delete the bucket of readings, with all that is in it."""
        with self._client() as client:
            api = client.buckets_api()
            api.delete_bucket(api.find_bucket_by_name(_BUCKET))

    def mend(self) -> None:
        """Make again what is lacking, as `denyut-setup influxdb` does: bucket, tasks, tokens."""
        set_up(self._url, self._folder, self._folder / "tokens")

    def _client(self) -> InfluxDBClient:
        return InfluxDBClient(url=self._url, token=self._operator_token(), org=_ORG)

    def _operator_token(self) -> str:
        return (self._folder / "operator-token").read_text()
