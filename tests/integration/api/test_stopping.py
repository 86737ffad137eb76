"""A rolling update as those who ask see it: no request fails, from the first task to the last."""

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from stack.broker import Broker
from stack.local import LocalStack
from stack.process import ProcessFailed
from stack.services import Service
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import STALL_SECONDS, eventually

CLIENTS = 4
DRAIN_SECONDS = 1.5 + STALL_SECONDS
SEEN_WITHIN_SECONDS = 0.5
"""How soon a proxy's health check has noticed, and its clients are sent elsewhere."""


class Answered(NamedTuple):
    """When it was asked and answered, with which status, and whether the connection closes."""

    began_s: float
    ended_s: float
    status: int
    closes: bool


class Client:
    """Asks over one connection, again and again, and connects anew when it is told to."""

    def __init__(self, api: Service, leaving: threading.Event) -> None:
        self.answers: list[Answered] = []
        self.failures: list[str] = []
        self._leaving = leaving
        self._connection = http.client.HTTPConnection(api.host, api.port, timeout=10)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._leaving.is_set():
            began_s = time.monotonic()
            try:
                self._connection.request("GET", "/v1/fleet")
                response = self._connection.getresponse()
                closes = response.getheader("Connection", "") == "close"
                response.read()
                told = Answered(began_s, time.monotonic(), response.status, closes)
                self.answers.append(told)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                self._connection.close()
        self._connection.close()


@contextmanager
def load(api: Service) -> Iterator[tuple[list[Client], threading.Event]]:
    leaving = threading.Event()
    clients = [Client(api, leaving) for _ in range(CLIENTS)]
    for client in clients:
        client.thread.start()
    try:
        eventually(lambda: all(len(client.answers) > 20 for client in clients))
        yield clients, leaving
    finally:
        leaving.set()
        for client in clients:
            client.thread.join()


@pytest.fixture
def stocked(local: LocalStack, broker: Broker) -> LocalStack:
    assert broker.is_running
    open_store(StoreSettings(store_url=local.store_url)).write([])
    return local


@pytest.fixture
def api(stocked: LocalStack) -> Service:
    return stocked.start_api(settings={"API_DRAIN_SECONDS": str(DRAIN_SECONDS)})


def test_a_stop_fails_no_request_of_those_who_look_at_readiness(api: Service) -> None:
    with load(api) as (clients, leaving):
        stopped = time.monotonic()
        os.kill(api.pid, signal.SIGTERM)
        eventually(lambda: api.get("/readyz")[0] == 503)
        unready = time.monotonic()
        eventually(lambda: time.monotonic() > unready + SEEN_WITHIN_SECONDS)
        assert api.get("/healthz")[0] == 200
        leaving.set()
        left = time.monotonic()
    assert api.wait(10) == 0
    assert time.monotonic() - stopped >= DRAIN_SECONDS
    assert [client.failures for client in clients] == [[]] * CLIENTS
    answers = [one for client in clients for one in client.answers]
    assert {one.status for one in answers} == {200}
    while_draining = [one for one in answers if unready < one.began_s < left]
    assert len(while_draining) > CLIENTS
    assert all(one.closes for one in while_draining)
    assert not any(one.closes for one in answers if one.ended_s < stopped)
    assert "Traceback" not in api.log_tail(200)


def test_readiness_says_why_while_it_drains(api: Service) -> None:
    os.kill(api.pid, signal.SIGTERM)
    eventually(lambda: '"service":"is stopping"' in api.get("/readyz")[1])
    assert api.wait(10) == 0


def test_a_request_that_was_started_is_answered_also_past_the_drain(api: Service) -> None:
    with socket.create_connection((api.host, api.port), timeout=10) as connection:
        connection.sendall(b"GET /v1/fleet HTTP/1.1\r\nHost: api\r\n")
        eventually(lambda: api.get("/readyz")[0] == 200)
        os.kill(api.pid, signal.SIGTERM)

        def refuses() -> bool:
            try:
                api.get("/readyz")
            except OSError as error:
                # One that had come before the end may hear nothing, or that it is over.
                return isinstance(error, ConnectionRefusedError)
            return False

        eventually(refuses, what="the end of the drain")
        assert api.is_running
        connection.sendall(b"\r\n")
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert api.wait(10) == 0


def test_without_a_drain_it_stops_at_once(stocked: LocalStack) -> None:
    api = stocked.start_api()
    began = time.monotonic()
    os.kill(api.pid, signal.SIGTERM)
    assert api.wait(10) == 0
    assert time.monotonic() - began < 5


def test_a_second_word_to_stop_changes_nothing(api: Service) -> None:
    os.kill(api.pid, signal.SIGTERM)
    eventually(lambda: api.get("/readyz")[0] == 503)
    os.kill(api.pid, signal.SIGTERM)
    assert api.get("/v1/fleet")[0] == 200
    assert api.wait(10) == 0


def test_a_fresh_api_is_not_ready_before_it_can_answer(stocked: LocalStack, broker: Broker) -> None:
    broker.stop()
    with pytest.raises(ProcessFailed, match="is not ready"):
        stocked.start_api(ready_seconds=2)
    api = stocked.processes[-1]
    assert isinstance(api, Service)
    eventually(lambda: "/readyz says 503" in (api.lacks() or ""), what="an API that listens")
    broker.start()
    eventually(lambda: api.get("/readyz")[0] == 200, deadline_seconds=30)
    status, text = api.get("/v1/fleet")
    assert status == 200
    assert '"states_current":true' in text


def test_the_next_task_of_a_slot_does_not_throw_the_last_one_out(stocked: LocalStack) -> None:
    last, following = stocked.start_api("api-1"), stocked.start_api("api-1")
    until = time.monotonic() + 1.0
    eventually(
        lambda: (
            time.monotonic() > until
            or any(one.get("/readyz")[0] != 200 for one in (last, following))
        )
    )
    assert [one.get("/readyz")[0] for one in (last, following)] == [200, 200]
    for one in (last, following):
        assert "connection to the broker lost" not in one.log_tail(200)
