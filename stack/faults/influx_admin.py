"""What an operator may do to InfluxDB by mistake: revoke a token, delete the bucket."""

from pathlib import Path

from influxdb_client import InfluxDBClient

from stack import StackError
from stack.influxdb import set_up

_BUCKET = "telemetry"


class InfluxAdmin:
    """The operator of a local stack's InfluxDB, whose files are in `folder`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def revoke_token(self, service: str) -> None:
        """Revoke a service's token; its file stays as it is."""
        with self._client() as client:
            api = client.authorizations_api()
            name = f"denyut {_BUCKET} {service}"  # as stack/setup/influxdb.py describes it
            found = [one for one in api.find_authorizations() if one.description == name]
            if not found:
                raise StackError(f"InfluxDB knows no token of {service!r}")
            for one in found:
                api.delete_authorization(one)

    def delete_bucket(self) -> None:
        """Delete the bucket of readings, with all that is in it."""
        with self._client() as client:
            api = client.buckets_api()
            api.delete_bucket(api.find_bucket_by_name(_BUCKET))

    def mend(self) -> None:
        """Make again what is lacking, as `denyut-setup influxdb` does: bucket, tasks, tokens."""
        set_up(self._url, self._folder, self._folder / "tokens")

    def _client(self) -> InfluxDBClient:
        token = (self._folder / "operator-token").read_text()
        return InfluxDBClient(url=self._url, token=token, org="denyut")
