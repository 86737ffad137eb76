"""What each answer of InfluxDB means, and how the lines that it refuses are found."""

import email.utils
import math
import time
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.store import StoreError, StoreMisconfigured, StoreThrottled, StoreUnavailable
from telemetry.store.influxdb.failures import STORED, Verdict, verdict
from telemetry.store.influxdb.isolation import MOST_REQUESTS, write_isolating


def said(message: str) -> bytes:
    """An error in InfluxDB's own words."""
    return msgspec.json.encode({"code": "some code", "message": message})


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {}, StoreMisconfigured),
        (403, {}, StoreMisconfigured),
        (404, {}, StoreMisconfigured),
        (408, {}, StoreUnavailable),
        (429, {}, StoreThrottled),
        (429, {"Retry-After": "3"}, StoreThrottled),
        (500, {}, StoreUnavailable),
        (502, {}, StoreUnavailable),
        (503, {}, StoreUnavailable),
        (503, {"Retry-After": "7"}, StoreThrottled),
        (504, {}, StoreUnavailable),
    ],
)
def test_an_answer_that_speaks_of_the_store_is_an_error_of_its_kind(
    status: int, headers: dict[str, str], kind: type[StoreError]
) -> None:
    with pytest.raises(StoreError) as caught:
        verdict(status, said("a message"), headers)

    assert type(caught.value) is kind
    assert str(status) in str(caught.value)
    assert "a message" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (204, "", STORED),
        (400, "unable to parse 'm'", Verdict("nothing stored", "unable to parse 'm'")),
        (413, "too large", Verdict("too large", "too large")),
        (422, "partial write dropped=3", Verdict("rest stored", "partial write dropped=3", 3)),
        (422, "partial write", Verdict("rest stored", "partial write", None)),
    ],
)
def test_an_answer_that_speaks_of_the_data_is_a_verdict(
    status: int, message: str, expected: Verdict
) -> None:
    assert verdict(status, said(message), {}) == expected


@pytest.mark.parametrize("status", [200, 400, 422])
def test_an_answer_that_is_not_influxdbs_says_nothing_of_the_data(status: int) -> None:
    with pytest.raises(StoreMisconfigured, match="Client sent an HTTP request to an HTTPS server"):
        verdict(status, b"Client sent an HTTP request to an HTTPS server.", {})


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", 300.0),
        ("soon", 1.0),
    ],
)
def test_retry_after_is_honoured_and_capped(retry_after: str, seconds: float) -> None:
    with pytest.raises(StoreThrottled) as caught:
        verdict(429, b"", {"Retry-After": retry_after})

    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(("from_now", "least", "most"), [(100, 50, 100), (-100, 0, 0)])
def test_retry_after_may_be_a_date(from_now: int, least: int, most: int) -> None:
    date = email.utils.formatdate(time.time() + from_now, usegmt=True)

    with pytest.raises(StoreThrottled) as caught:
        verdict(503, b"", {"Retry-After": date})

    assert least <= caught.value.retry_after_seconds <= most


class Server:
    """Refuses some lines as InfluxDB does, and remembers what it stored."""

    def __init__(self, unparsable: set[bytes], conflicting: set[bytes], *, counts: bool) -> None:
        self.unparsable = unparsable
        self.conflicting = conflicting
        self.counts = counts
        self.stored: set[bytes] = set()
        self.requests = 0

    def send(self, lines: Sequence[bytes]) -> Verdict:
        self.requests += 1
        unparsable = [line for line in lines if line in self.unparsable]
        if unparsable:
            quoted = "\n".join(f"unable to parse '{line.decode()}'" for line in unparsable)
            return Verdict("nothing stored", quoted if self.counts else "unable to parse")
        self.stored |= set(lines) - self.conflicting
        dropped = sum(line in self.conflicting for line in lines)
        if dropped:
            return Verdict("rest stored", "conflict", dropped if self.counts else None)
        return STORED


def lines(count: int) -> list[bytes]:
    return [b"m,device=d%04d a=1 1" % number for number in range(count)]


@given(
    st.sets(st.integers(0, 99), max_size=5), st.sets(st.integers(0, 99), max_size=5), st.booleans()
)
def test_exactly_the_refused_lines_are_found_and_all_others_stored(
    unparsable: set[int], conflicting: set[int], counts: bool
) -> None:
    written = lines(100)
    server = Server(
        {written[n] for n in unparsable}, {written[n] for n in conflicting}, counts=counts
    )

    refused = write_isolating(written, server.send)

    if server.requests < MOST_REQUESTS:
        assert {one.index for one in refused} == unparsable | conflicting
    assert server.stored | {written[one.index] for one in refused} >= set(written)
    assert [one.index for one in refused] == sorted({one.index for one in refused})
    assert all(one.reason for one in refused)


def test_a_line_that_begins_as_a_refused_one_does_is_not_refused_with_it() -> None:
    written = [b"m,device=d a=1 1", b"m,device=d a=1 17"]
    server = Server({written[1]}, set(), counts=True)

    refused = write_isolating(written, server.send)

    assert [one.index for one in refused] == [1]
    assert server.stored == {written[0]}


def test_one_unparsable_line_of_5000_costs_two_requests() -> None:
    written = lines(5000)
    server = Server({written[1234]}, set(), counts=True)

    refused = write_isolating(written, server.send)

    assert [one.index for one in refused] == [1234]
    assert (server.requests, len(server.stored)) == (2, 4999)


def test_one_conflicting_line_of_5000_is_found_by_halving() -> None:
    written = lines(5000)
    server = Server(set(), {written[4321]}, counts=True)

    refused = write_isolating(written, server.send)

    assert [one.index for one in refused] == [4321]
    assert server.requests <= math.ceil(math.log2(5000)) + 1


def test_a_batch_that_is_refused_as_a_whole_costs_one_request() -> None:
    written = lines(1000)
    server = Server(set(), set(written), counts=True)

    refused = write_isolating(written, server.send)

    assert (len(refused), server.requests) == (1000, 1)


def test_past_64_requests_the_rest_is_refused_as_a_block() -> None:
    written = lines(5000)
    server = Server(set(), set(written[::7]), counts=True)

    refused = write_isolating(written, server.send)

    assert server.requests <= MOST_REQUESTS + 1
    assert {written[one.index] for one in refused} >= server.conflicting


def test_a_batch_too_large_is_halved_until_it_fits() -> None:
    sent: list[int] = []

    def send(some: Sequence[bytes]) -> Verdict:
        sent.append(len(some))
        return Verdict("too large") if len(some) > 300 else STORED

    assert write_isolating(lines(1000), send) == []
    assert sum(count for count in sent if count <= 300) == 1000


def test_an_error_of_the_store_goes_through() -> None:
    def send(_some: Sequence[bytes]) -> Verdict:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        write_isolating(lines(3), send)


def test_nothing_to_write_asks_nothing() -> None:
    server = Server(set(), set(), counts=True)

    assert write_isolating([], server.send) == []
    assert server.requests == 0
