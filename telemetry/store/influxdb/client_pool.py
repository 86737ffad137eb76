"""Requests to InfluxDB by the client's pool of connections (docs/decisions/0011)."""

import urllib3
from influxdb_client import InfluxDBClient
from urllib3.exceptions import HTTPError, SSLError, TimeoutError

from telemetry.store import StoreError, StoreMisconfigured, StoreTooSlow, StoreUnavailable
from telemetry.store.influxdb.exchange import PIECE_BYTES, Answer, Pieces, Request


class ClientPool:
    """An Exchange on the pool that an InfluxDBClient has made."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = urllib3.Timeout(total=timeout_seconds)
        # The token is not told to the client: it may change, and goes along with each request.
        client = InfluxDBClient(url=url, token="")
        self._pools: urllib3.PoolManager = client.api_client.rest_client.pool_manager

    def send(self, request: Request) -> Answer:
        """Send a request once; of the Exchange protocol."""
        try:
            answer = self._pools.connection_from_url(self._url).urlopen(
                request.method,
                request.target,
                body=request.body,
                headers=request.headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=not request.in_pieces,
            )
            if request.in_pieces and answer.status == 200:
                return Answer(answer.status, answer.headers, pieces=self._pieces(answer))
            return Answer(answer.status, answer.headers, answer.data)
        except HTTPError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the connections; of the Exchange protocol."""
        self._pools.clear()

    def _pieces(self, answer: urllib3.BaseHTTPResponse) -> Pieces:
        try:
            yield from answer.stream(PIECE_BYTES)
        except HTTPError as error:
            raise self._failed(error) from error
        finally:
            # Whoever stops early leaves bytes unread: that connection serves no other question.
            answer.close()

    def _failed(self, error: HTTPError) -> StoreError:
        text = f"{self._url}: {error}"
        if isinstance(error, TimeoutError):
            return StoreTooSlow(text)
        return StoreMisconfigured(text) if isinstance(error, SSLError) else StoreUnavailable(text)
