"""What the feed makes of the broker's words, without a broker: its counter and its statuses."""

import pytest

from api.live.events import Wanted
from api.live.feed import Feed
from api.live.figures import LiveFigures
from api.live.hub import Hub
from api.live.reader import Reader
from api.settings import ApiSettings


@pytest.fixture
def figures() -> LiveFigures:
    return LiveFigures()


@pytest.fixture
def hub(figures: LiveFigures) -> Hub:
    found = Hub(figures)
    found.feed_up()
    return found


def joined(hub: Hub, wanted: Wanted) -> Reader:
    reader = Reader(wanted, most_bytes=1_000, most_events=100)
    hub.join(reader)
    return reader


def owed_since_ms(reader: Reader) -> int | None:
    return None if reader.debt is None else reader.debt.since_ms


def test_what_the_broker_dropped_is_owed_since_it_last_told(hub: Hub, figures: LiveFigures) -> None:
    feed = Feed(ApiSettings(store_url="sqlite:///unused"), hub, figures)
    feed._subscribed = True
    reader, states = joined(hub, Wanted()), joined(hub, Wanted(kinds="status"))
    feed._note_dropped(b"7")
    assert owed_since_ms(reader) is None, "what was dropped before concerns nobody"
    assert feed._dropped is not None
    told_ms = feed._dropped[1]
    feed._note_dropped(b"nonsense")
    feed._note_dropped(b"7")
    assert owed_since_ms(reader) is None
    before_ms = feed._dropped[1]
    feed._note_dropped(b"9")
    assert told_ms <= before_ms
    assert owed_since_ms(reader) == before_ms
    assert owed_since_ms(states) is None
    assert figures.counted("broker_dropped_messages") == 2


def test_whoever_listens_while_nothing_is_heard_is_owed_from_then_on(hub: Hub) -> None:
    early, states = joined(hub, Wanted()), joined(hub, Wanted(kinds="status"))
    hub.feed_down(1_000, "the connection was lost")
    late = joined(hub, Wanted())
    assert early.debt is not None
    assert early.debt.since_ms == 1_000
    assert late.debt is not None
    assert late.debt.since_ms > 1_000
    assert states.debt is None
    assert b'"live":false' in early.take(0)
    assert states.take(0) == b""


def test_a_feed_that_was_down_already_is_lost_once(hub: Hub, figures: LiveFigures) -> None:
    reader = joined(hub, Wanted())
    hub.feed_down(1_000, "the connection was lost")
    hub.feed_down(1, "the broker cannot be reached")
    assert figures.counted("feed_losses") == 1
    assert reader.debt is not None
    assert reader.debt.since_ms == 1_000
