"""How the lines that InfluxDB refuses are found, against a server that answers as 2.9.1 does."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.store import Refused, StoreUnavailable
from telemetry.store.influxdb.failures import STORED, Verdict
from telemetry.store.influxdb.isolation import MOST_REQUESTS, write_isolating
from telemetry.store.influxdb.messages import quoted

DAY_MS = 86_400_000
CONFLICT = (
    'partial write: field type conflict: input field "a" on measurement "m" is type string, '
    "already exists as type float"
)


class Server:
    """Refuses some lines as InfluxDB does, a shard a day, and remembers what it stored.

    A 422 counts what the first shard left out, and shards that were not waited for store nothing.
    `talks`: whether its messages quote lines and name fields.
    """

    def __init__(self, unparsable: set[str], conflicting: set[str], *, talks: bool) -> None:
        self.unparsable = unparsable
        self.conflicting = conflicting
        self.talks = talks
        self.stored: set[str] = set()
        self.requests = 0

    def send(self, lines: Sequence[str]) -> Verdict:
        self.requests += 1
        unparsable = [line for line in lines if line in self.unparsable]
        if unparsable:
            said = "\n".join(f"unable to parse '{line}': invalid number" for line in unparsable)
            return Verdict("nothing stored", said if self.talks else "unable to parse")
        shards: dict[int, list[str]] = {}
        for line in lines:
            shards.setdefault(int(line.rpartition(" ")[2]) // DAY_MS, []).append(line)
        for shard in shards.values():
            self.stored |= set(shard) - self.conflicting
            dropped = sum(line in self.conflicting for line in shard)
            if dropped:
                return Verdict("rest stored", CONFLICT if self.talks else "conflict", dropped)
        return STORED


def line(number: int, value: str = "1.5", shard: int = 0) -> str:
    return f"m,device=d{number:04},site=s a={value},seq={number}i {shard * DAY_MS + number}"


def lines(count: int) -> list[str]:
    return [line(number) for number in range(count)]


def isolated(written: list[str], send: Callable[[Sequence[str]], Verdict]) -> list[Refused]:
    return write_isolating(
        [one.encode() for one in written], lambda some: send([one.decode() for one in some])
    )


@given(
    st.sets(st.integers(0, 99), max_size=5),
    st.sets(st.integers(0, 99), max_size=5),
    st.lists(st.integers(0, 2), min_size=100, max_size=100),
    st.booleans(),
)
def test_exactly_the_refused_lines_are_found_and_all_others_stored(
    unparsable: set[int], conflicting: set[int], shards: list[int], talks: bool
) -> None:
    written = [
        line(number, '"text"' if number in conflicting else "1.5", shard)
        for number, shard in enumerate(shards)
    ]
    server = Server(
        {written[n] for n in unparsable}, {written[n] for n in conflicting}, talks=talks
    )

    refused = isolated(written, server.send)

    if server.requests < MOST_REQUESTS:
        assert {one.index for one in refused} == unparsable | conflicting
    assert server.stored | {written[one.index] for one in refused} >= set(written)
    assert [one.index for one in refused] == sorted({one.index for one in refused})
    assert all(one.reason for one in refused)


def test_lines_of_several_shards_are_found_though_only_one_shard_s_are_counted() -> None:
    written = [line(0, '"x"', 0), *lines(50)[1:], line(50, '"x"', 1), line(51, "1.5", 1)]
    server = Server(set(), {written[0], written[50]}, talks=False)

    refused = isolated(written, server.send)

    assert [one.index for one in refused] == [0, 50]
    assert len(server.stored) == 50


def test_one_unparsable_line_of_5000_costs_two_requests() -> None:
    written = lines(5000)
    server = Server({written[1234]}, set(), talks=True)

    refused = isolated(written, server.send)

    assert [(one.index, one.reason) for one in refused] == [(1234, "invalid number")]
    assert (server.requests, len(server.stored)) == (2, 4999)


@pytest.mark.parametrize("kind", ["unparsable", "conflicting"])
def test_one_refused_line_of_5000_that_nothing_is_said_of_costs_27_requests(kind: str) -> None:
    written = lines(5000)
    bad = {written[4321]}
    server = Server(
        bad if kind == "unparsable" else set(), bad if kind == "conflicting" else set(), talks=False
    )

    refused = isolated(written, server.send)

    assert [one.index for one in refused] == [4321]
    assert server.requests <= 27


def test_conflicting_lines_are_found_at_once_by_the_field_that_is_named() -> None:
    bad = set(range(0, 5000, 7))
    written = [line(number, '"text"' if number in bad else "1.5") for number in range(5000)]
    server = Server(set(), {written[number] for number in bad}, talks=True)

    refused = isolated(written, server.send)

    assert {one.index for one in refused} == bad
    assert server.requests == 3


def test_lines_older_than_the_retention_are_found_at_once_by_the_time_that_is_named() -> None:
    written = lines(1000)
    bound_ms = 300

    def send(some: Sequence[str]) -> Verdict:
        old = [one for one in some if int(one.rpartition(" ")[2]) < bound_ms]
        said = (
            "dropped points outside retention policy of duration 24h0m0s - oldest point m at "
            "1970-01-01T00:00:00Z dropped because it violates a Retention Policy Lower Bound at "
            "1970-01-01T00:00:00.3Z, newest point"
        )
        requests.append(len(some))
        return Verdict("rest stored", said, len(old)) if old else STORED

    requests: list[int] = []

    refused = isolated(written, send)

    assert [one.index for one in refused] == list(range(300))
    assert requests == [1000, 300, 700]


def test_a_batch_that_is_refused_as_a_whole_costs_one_request() -> None:
    written = lines(1000)
    server = Server(set(), set(written), talks=True)

    refused = isolated(written, server.send)

    assert (len(refused), server.requests) == (1000, 1)


def test_past_64_requests_the_rest_is_refused_as_a_block() -> None:
    written = lines(5000)
    server = Server(set(), set(written[::7]), talks=False)

    refused = isolated(written, server.send)

    assert server.requests == MOST_REQUESTS
    assert {written[one.index] for one in refused} >= server.conflicting
    assert server.stored | {written[one.index] for one in refused} == set(written)


def test_a_batch_too_large_is_halved_until_it_fits() -> None:
    sent: list[int] = []

    def send(some: Sequence[str]) -> Verdict:
        sent.append(len(some))
        return Verdict("too large") if len(some) > 300 else STORED

    assert isolated(lines(1000), send) == []
    assert sum(count for count in sent if count <= 300) == 1000


def test_an_error_of_the_store_goes_through() -> None:
    def send(_some: Sequence[str]) -> Verdict:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        isolated(lines(3), send)


def test_nothing_to_write_asks_nothing() -> None:
    server = Server(set(), set(), talks=True)

    assert isolated([], server.send) == []
    assert server.requests == 0


def test_a_line_within_another_s_quotation_is_not_taken_for_quoted() -> None:
    good = line(1)
    bad = [f'm note="{good}",a=nan 5', f"m note=\"\nunable to parse '{good}': x\",a=nan 6"]
    message = "\n".join(f"unable to parse '{one}': invalid number" for one in bad)

    assert quoted([bad[0], good, bad[1], good], message) == {
        0: "invalid number",
        2: "invalid number",
    }
    assert quoted([good, *bad], message) == {1: "invalid number", 2: "invalid number"}


def test_a_line_that_is_the_beginning_of_a_quoted_one_is_not_taken_for_it() -> None:
    short, long = "m a=1 1", "m a=1 17x"

    assert quoted([short, long], f"unable to parse '{long}': bad timestamp") == {1: "bad timestamp"}


def test_a_long_reason_is_cut() -> None:
    def send(_some: Sequence[str]) -> Verdict:
        return Verdict("nothing stored", "x" * 100_000)

    (refused,) = isolated(lines(1), send)

    assert len(refused.reason) == 500
