"""How much is asked at once, and what happens to the rest."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from api.ends import on_end, with_ends
from api.figures import Figures
from api.gates import Gate, KeyShares, TooBusy
from tests.eventually import eventually


@contextmanager
def waiting_at(gate: Gate) -> Iterator[list[str]]:
    """Another who waits at a gate, and what became of it."""
    outcome: list[str] = []

    def wait() -> None:
        try:
            with gate.place():
                outcome.append("in")
        except TooBusy:
            outcome.append("refused")

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(10)


def gate(*, places: int = 1, queue: int = 1, wait_seconds: float = 5.0) -> Gate:
    return Gate(Figures(), places=places, queue=queue, wait_seconds=wait_seconds)


def test_as_many_pass_as_there_are_places() -> None:
    found = gate(places=3, queue=0)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(found.place())
        with pytest.raises(TooBusy), found.place():
            pass
    with found.place():
        pass


def test_who_waits_passes_when_a_place_is_free() -> None:
    found = gate()
    with found.place():
        entered = waiting_at(found)
        outcome = entered.__enter__()
        eventually(lambda: found.waiting == 1)
        assert outcome == []
    entered.__exit__(None, None, None)
    assert outcome == ["in"]


def test_beyond_the_queue_one_is_refused_at_once() -> None:
    found = gate(queue=0, wait_seconds=60)
    with found.place():
        started = time.monotonic()
        with pytest.raises(TooBusy) as refused, found.place():
            pass
    assert time.monotonic() - started < 5
    assert refused.value.status == 429
    assert refused.value.retry_after_seconds == 1


def test_a_wait_in_vain_ends_with_a_refusal_and_leaves_the_queue() -> None:
    found = gate(wait_seconds=0.05)
    with found.place(), pytest.raises(TooBusy), found.place():
        pass
    assert found.waiting == 0


def test_a_question_that_fails_gives_its_place_back() -> None:
    found = gate(queue=0)
    with pytest.raises(RuntimeError), found.place():
        raise RuntimeError
    with found.place():
        pass


def test_a_key_has_its_share_and_no_more() -> None:
    shares = KeyShares(Figures(), 2)
    assert shares.take("one")
    assert shares.take("one")
    with pytest.raises(TooBusy, match="2 requests"):
        shares.take("one")
    assert shares.take("other")
    shares.give_back("one")
    assert shares.take("one")


def test_without_a_limit_nothing_is_counted() -> None:
    shares = KeyShares(Figures(), 0)
    assert not any(shares.take("one") for _ in range(100))


@pytest.mark.parametrize("fails", [False, True])
def test_a_request_ends_when_its_stream_is_closed_or_it_failed(fails: bool) -> None:
    ended: list[str] = []

    def app(environ: dict[str, object], _start: object) -> Iterator[bytes]:
        on_end(environ, lambda: ended.append("ended"))
        if fails:
            raise RuntimeError
        return iter([b"a", b"b"])

    if fails:
        with pytest.raises(RuntimeError):
            with_ends(app)({}, None)
    else:
        parts = with_ends(app)({}, None)
        assert list(parts) == [b"a", b"b"]
        assert ended == []
        parts.close()  # type: ignore[attr-defined]
    assert ended == ["ended"]
