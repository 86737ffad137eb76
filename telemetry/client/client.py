"""The client: a method per route."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import msgspec

from telemetry.client.answers import (
    Aggregate,
    CommandAnswer,
    CommandsAnswer,
    Delivery,
    Device,
    DevicesPage,
    Fleet,
    KnownCommand,
    Latest,
    Measurement,
    MeasurementsPage,
    Order,
    Site,
    SitesPage,
    State,
)
from telemetry.client.errors import NotUnderstood
from telemetry.client.events import Kinds
from telemetry.client.key import Key
from telemetry.client.pages import pages
from telemetry.client.readings import Readings
from telemetry.client.stream import Stream
from telemetry.client.transport import Address, Request, Transport
from telemetry.worked_out import worked_out

Moment = datetime | int | str
"""A datetime with a time zone, milliseconds since the epoch, RFC 3339, `now`, or as `-1h`."""

Length = timedelta | str
"""A length of time, also as `500ms`, `10s`, `5m`, `1h`, `2d`."""

# The API waits for a device for a minute at most (API_COMMAND_TIMEOUT_SECONDS).
_COMMAND_TIMEOUT_SECONDS = 65.0

Found = TypeVar("Found")


class Client:
    """Asks one API; threads may share it. Every method may raise a ClientError (errors.py).

    `key_file` is read again when the API does not know the key any more. With `ca_file` only
    servers are trusted that this authority has signed. `timeout_seconds` is for a connection, and
    for each silence of the server. An API that is away, or has too much to do, is asked again, at
    the times that it names, for `patience_seconds`.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        key_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 30.0,
    ) -> None:
        self._transport = Transport(
            Address.parse(url),
            Key(key, None if key_file is None else Path(key_file)),
            ca_file=None if ca_file is None else Path(ca_file),
            timeout_seconds=timeout_seconds,
            patience_seconds=patience_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept; streams have their own."""
        self._transport.close()

    def devices(
        self, *, site: str | None = None, state: State | None = None, prefix: str | None = None
    ) -> Iterator[Device]:
        """Yield the devices of a site, in a state, with names that begin so; by name."""
        given = _given(site=site, state=state, prefix=prefix)
        for page in pages(self._ask, DevicesPage, "/v1/devices", given):
            yield from page.devices

    def device(self, device: str) -> Device:
        """Return one device; NotFound where nothing is known of it."""
        return self._ask(Device, _path(device), {})

    def sites(self) -> Iterator[Site]:
        """Yield the sites, by name."""
        for page in pages(self._ask, SitesPage, "/v1/sites", {}):
            yield from page.sites

    def measurements(self, *, site: str | None = None) -> Iterator[Measurement]:
        """Yield what is measured, at a site or anywhere, with fields and units; by name."""
        for page in pages(self._ask, MeasurementsPage, "/v1/measurements", _given(site=site)):
            yield from page.measurements

    def latest(
        self, device: str | None = None, *, site: str | None = None, limit: int | None = None
    ) -> Latest:
        """Return the latest reading of each series: of a device, a site, or the whole fleet."""
        if device is None:
            return self._ask(Latest, "/v1/latest", _given(site=site, limit=limit))
        if site is not None or limit is not None:
            raise ValueError("of one device there is all: without site and limit")
        return self._ask(Latest, f"{_path(device)}/latest", {})

    def readings(
        self,
        device: str | None = None,
        *,
        site: str | None = None,
        measurement: str | None = None,
        fields: Sequence[str] | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        every: Length | None = None,
        points: int | None = None,
        aggregate: Aggregate | None = None,
        order: Order | None = None,
        page_size: int | None = None,
    ) -> Readings:
        """Return the readings of start <= time < stop, of the last hour unless it says otherwise.

        Nothing is asked before they are iterated over. With `every`, or into about so many
        `points`, they are gathered over intervals by `aggregate` (the mean).
        """
        if device is not None and site is not None:
            raise ValueError("a device is at one site: give one of them")
        given = _given(
            site=site,
            measurement=measurement,
            fields=None if fields is None else ",".join(fields),
            start=_moment(start),
            stop=_moment(stop),
            every=_length(every),
            points=points,
            aggregate=aggregate,
            order=order,
            limit=page_size,
            format="json",
        )
        path = "/v1/readings" if device is None else f"{_path(device)}/readings"
        return Readings(self._ask, path, given)

    def stream(
        self,
        *,
        site: str | None = None,
        device: str | None = None,
        prefix: str | None = None,
        measurement: str | None = None,
        kinds: Kinds | None = None,
        last_event_id: str | None = None,
        silence_seconds: float = 60.0,
    ) -> Stream:
        """Return readings and states as they happen; with an id what was stored since, first.

        A connection that is silent for `silence_seconds` is opened anew; the API says that it is
        alive more often than that (API_STREAM_HEARTBEAT_SECONDS).
        """
        given = _given(
            site=site, device=device, prefix=prefix, measurement=measurement, kinds=kinds
        )
        return Stream(
            self._transport, given, last_event_id=last_event_id, silence_seconds=silence_seconds
        )

    def fleet(self) -> Fleet:
        """Return the fleet: totals, rates, freshness and their recent history."""
        return self._ask(Fleet, "/v1/fleet", {})

    def delivery(self) -> Delivery:
        """Return what was offered, acknowledged and stored, and what is missing."""
        return self._ask(Delivery, "/v1/delivery", {})

    def commands(self, device: str) -> list[KnownCommand]:
        """Return the commands that simulated devices know."""
        return self._ask(CommandsAnswer, f"{_path(device)}/commands", {}).commands

    def command(
        self, device: str, name: str, body: Mapping[str, Any] | None = None
    ) -> CommandAnswer:
        """Tell a device to do something, and return its answer.

        DeviceOffline and DeviceRefused say that nothing was done. After TooSlow, Unavailable or
        Unreachable it may have been done: it is not sent again by itself.
        """
        request = Request(
            f"{_path(device)}/commands/{quote(name, safe='')}",
            body=msgspec.json.encode(body or {}),
            timeout_seconds=_COMMAND_TIMEOUT_SECONDS,
        )
        return _read(CommandAnswer, request.path, self._transport.ask(request))

    def _ask(self, kind: type[Found], path: str, parameters: Mapping[str, str]) -> Found:
        return _read(kind, path, self._transport.ask(Request(path, parameters)))


def _read(kind: type[Found], path: str, answer: bytes) -> Found:
    try:
        return msgspec.json.decode(answer, type=worked_out(kind))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"{path}: not an answer of this API: {error}") from error


def _path(device: str) -> str:
    return f"/v1/devices/{quote(device, safe='')}"


def _given(**parameters: str | int | None) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items() if value is not None}


def _moment(moment: Moment | None) -> str | int | None:
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _length(length: Length | None) -> str | None:
    if not isinstance(length, timedelta):
        return length
    return f"{length // timedelta(milliseconds=1)}ms"
