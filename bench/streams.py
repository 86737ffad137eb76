"""Streams: 200 who listen and 300 requests a second at once, from one API process."""

import http.client
import multiprocessing
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from msgspec import Struct

from bench.pipeline import FLEET, figure
from bench.row import Row, at_least, at_most
from stack import StackError
from stack.local import LocalStack
from stack.services import Service
from stack.waiting import holds_within

_STREAMS = 200
_REQUESTS_PER_SECOND = 300
_CLIENTS = 12
_DEVICES = 100  # each publishes five readings a second
_SECONDS = 30.0
_FEED_WITHIN_SECONDS = 20.0
_WHOLE_SHARE = 0.995  # a tenth of a second's readings are on their way when it is looked
_LATE_SHARE = 0.98
_READING = b"event: reading\n"
_END = b"event: end\n"
_MOST_BYTES_A_READ = 1 << 18


class Listened(Struct):
    """What the listeners got: readings of each stream, and streams that were ended."""

    readings: list[int]
    ended: int


def streams_and_requests() -> Iterator[Row]:
    """Half of the streams hear the whole fleet (500 readings/s), half one device each.

    Requests are for a device's latest readings, a device and the fleet, at a fixed pace over
    kept-alive connections; a late one counts from when it was due.
    """
    with LocalStack() as local:
        local.start_broker()
        local.start_ingest()
        api = local.start_api()
        fleet = local.start_fleet(FLEET, devices=_DEVICES, qos="1")
        names = local.device_names(FLEET, _DEVICES)
        ours, theirs = multiprocessing.Pipe()
        listeners = multiprocessing.get_context("spawn").Process(
            target=_listen, args=(api.host, api.port, names, theirs)
        )
        listeners.start()
        ours.recv()
        if not holds_within(lambda: _feed_is_live(api), _FEED_WITHIN_SECONDS):
            raise StackError("void: the streams hear nothing")
        began_cpu, began_s = api.usage().cpu_seconds, time.monotonic()
        heard = figure(api, "api", "heard_readings")
        latencies_ms, failed = _ask(api, names)
        took_s = time.monotonic() - began_s
        heard = figure(api, "api", "heard_readings") - heard
        cpu = (api.usage().cpu_seconds - began_cpu) / took_s
        dropped = figure(api, "api", "streams_dropped")
        ours.send("stop")
        listened: Listened = ours.recv()
        listeners.join()
        fleet.stop()
    if heard < _LATE_SHARE * 5 * _DEVICES * took_s:
        raise StackError(f"void: only {heard:.0f} readings were heard in {took_s:.0f} s")
    asked = len(latencies_ms) / took_s
    whole = listened.readings[: _STREAMS // 2]
    at = "with 200 streams and 300 requests/s"
    yield at_least(
        f"api requests/s {at}", asked, _LATE_SHARE * _REQUESTS_PER_SECOND, "1/s", issue=7
    )
    yield at_most(f"api failed requests {at}", failed, 0, "requests", issue=7)
    yield at_most(f"api dropped readers {at}", dropped + listened.ended, 0, "readers", issue=7)
    yield at_least(
        f"api share of readings that the slowest stream got {at}",
        min(whole) / heard,
        _WHOLE_SHARE,
        "",
        issue=7,
    )
    yield at_most(f"api request p50 {at}", statistics.median(latencies_ms), 10, "ms", issue=7)
    p99 = statistics.quantiles(latencies_ms, n=100)[98]
    yield at_most(f"api request p99 {at}", p99, 100, "ms", issue=7)
    yield at_most(f"api CPU {at}", cpu, 1, "cores", issue=7)


def _feed_is_live(api: Service) -> bool:
    return figure(api, "api", "heard_readings") > 0


def _ask(api: Service, names: list[str]) -> tuple[list[float], int]:
    """Ask at the pace for the time; return the latencies in ms and how many failed."""
    latencies_ms: list[float] = []
    failures: list[str] = []
    pace_s = _CLIENTS / _REQUESTS_PER_SECOND
    begin_s = time.monotonic() + 0.1

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(api.host, api.port, timeout=10)
        paths = (
            f"/v1/devices/{names[number]}/latest",
            f"/v1/devices/{names[number + _CLIENTS]}",
            "/v1/fleet",
        )
        for turn in range(round(_SECONDS / pace_s)):
            due_s = begin_s + (turn + number / _CLIENTS) * pace_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            connection.request("GET", paths[turn % len(paths)])
            response = connection.getresponse()
            response.read()
            latencies_ms.append((time.monotonic() - due_s) * 1_000)
            if response.status != 200:
                failures.append(f"{response.status} {paths[turn % len(paths)]}")
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies_ms, len(failures)


def _listen(host: str, port: int, names: list[str], told: Connection) -> None:
    """Open the streams, count what they get until told to stop, and send what was counted."""
    selector = selectors.DefaultSelector()
    for number in range(_STREAMS):
        query = "" if number < _STREAMS // 2 else f"?device={names[number % len(names)]}"
        connection = socket.create_connection((host, port), timeout=10)
        connection.sendall(f"GET /v1/stream{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, number)
    selector.register(told, selectors.EVENT_READ, -1)
    told.send("open")
    readings, rests, ended = [0] * _STREAMS, [b""] * _STREAMS, 0
    while True:
        for key, _ in selector.select():
            number = int(key.data)
            if number < 0:
                told.recv()
                told.send(Listened(readings, ended))
                return
            assert isinstance(key.fileobj, socket.socket)
            text = key.fileobj.recv(_MOST_BYTES_A_READ)
            if not text:
                ended += 1
                selector.unregister(key.fileobj)
                continue
            whole = rests[number] + text
            readings[number] += whole.count(_READING) - rests[number].count(_READING)
            rests[number] = whole[-len(_READING) + 1 :]
            ended += whole.count(_END)
