"""Bodies over HTTP, with no socket: however they come in pieces, they are bounded and cut right."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.http.body import Body, Budget
from ingest.sources.http.parts import media_type, parts_of
from ingest.sources.http.problems import Problem
from telemetry.lineprotocol import Point, parse_lines

CHUNKS = st.lists(st.integers(1, 50), max_size=20)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(data[:size])
        data = data[size:]
    return [*found, data]


def feed(body: Body, came: list[bytes]) -> bytes:
    for piece in came:
        body.feed(piece)
    return body.end()


@given(st.binary(max_size=500), CHUNKS, st.booleans())
def test_a_body_comes_whole_out_of_its_pieces(data: bytes, sizes: list[int], is_gzip: bool) -> None:
    budget = Budget(1_000)
    body = Body(budget, 1_000, is_gzip=is_gzip)
    assert feed(body, pieces(gzip.compress(data) if is_gzip else data, sizes)) == data
    assert budget.held_bytes == len(data)
    body.release()
    assert budget.held_bytes == 0


@given(st.integers(0, 300), CHUNKS, st.booleans())
def test_more_than_a_body_may_be_is_refused_and_never_held(
    more: int, sizes: list[int], is_gzip: bool
) -> None:
    data = b"x" * (101 + more)
    budget = Budget(1_000)
    body = Body(budget, 100, is_gzip=is_gzip)
    with pytest.raises(Problem) as caught:
        feed(body, pieces(gzip.compress(data) if is_gzip else data, sizes))
    assert budget.held_bytes <= 100
    assert caught.value.status == 413
    body.release()
    assert budget.held_bytes == 0


def test_a_gzip_that_inflates_to_nothing_is_bounded_as_well() -> None:
    endless_name = b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 100
    with pytest.raises(Problem) as caught:
        feed(Body(Budget(1_000), 100, is_gzip=True), [endless_name])

    assert caught.value.status == 413


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(b"x")[:-1],
        zlib.compress(b"x"),
        gzip.compress(b"x") + b"y",
        gzip.compress(b"x") * 2,
        b"\x1f\x8b\xff" + gzip.compress(b"x")[3:],
    ],
    # gzip holds the time: by itself each worker would name the cases otherwise.
    ids=["nothing", "head", "cut short", "zlib", "more behind", "two", "unknown method"],
)
def test_what_is_not_one_whole_gzip_is_refused(data: bytes) -> None:
    body = Body(Budget(1_000), 1_000, is_gzip=True)
    with pytest.raises(Problem) as caught:
        feed(body, [data])

    assert caught.value.status == 400


def test_all_bodies_share_a_budget() -> None:
    budget = Budget(100)
    first, second = (Body(budget, 80, is_gzip=False) for _ in range(2))
    first.feed(b"x" * 80)
    with pytest.raises(Problem) as caught:
        second.feed(b"x" * 80)
    assert caught.value.status == 429

    first.release()
    second.release()
    Body(budget, 80, is_gzip=False).feed(b"x" * 80)


TEXTS = st.text(st.sampled_from(['"', "\\", "\n", "a", ",", " ", "="]), max_size=12)


@given(st.lists(TEXTS, min_size=1, max_size=40), st.integers(60, 300))
def test_line_protocol_is_cut_between_points_whatever_their_texts_hold(
    texts: list[str], most_bytes: int
) -> None:
    lines = []
    for text in texts:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'm,site=s note="{escaped}" 1')
    body = "\n".join(lines).encode()

    cut = parts_of(body, "text/plain", most_bytes)

    assert b"".join(cut.payloads) == body
    assert all(len(payload) <= most_bytes for payload in cut.payloads)
    points = [point for payload in cut.payloads for point in parse_lines(payload.decode())]
    assert [one.fields["note"] for one in points if isinstance(one, Point)] == texts


def test_a_point_longer_than_a_payload_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        parts_of(b'm a="' + b"\n" * 500 + b'"', "text/plain", 100)

    assert caught.value.status == 413


def test_lines_are_payloads_and_empty_ones_are_passed_over() -> None:
    lines = parts_of(b"{}\r\n\n[1]\n  \n5", "application/x-ndjson", 100)

    assert (lines.payloads, lines.counted_by) == ([b"{}", b"[1]", b"  ", b"5"], "line")


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", ""),
        ("application/json", "application/json"),
        ("Application/SenML+XML; Charset=UTF-8", "application/senml+xml"),
        ('text/plain;charset="utf-8"', "text/plain"),
    ],
)
def test_the_type_of_a_body_is_read_whatever_its_writing(header: str, kind: str) -> None:
    assert media_type(header) == kind
