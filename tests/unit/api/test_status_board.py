import msgspec
import pytest

from api.status_board import StatusBoard

NOW_MS = 1_700_000_000_000
BOOT_MS = NOW_MS - 60_000


def payload(state: str = "online", **more: object) -> bytes:
    return msgspec.json.encode({"state": state, **more})


@pytest.fixture
def board() -> StatusBoard:
    return StatusBoard(max_devices=3)


def take(
    board: StatusBoard,
    message: bytes,
    *,
    topic: str = "status/hall/d1",
    retained: bool = False,
    now_ms: int = NOW_MS,
) -> None:
    board.take(topic, message, retained=retained, now_ms=now_ms)


def test_a_status_is_known_with_all_that_it_tells(board: StatusBoard) -> None:
    take(board, payload(qos=2, boot=BOOT_MS, profile="weather", version="9"))
    status = board.get("d1")
    assert status is not None
    assert (status.site, status.state, status.qos) == ("hall", "online", 2)
    assert (status.boot_ms, status.profile, status.since_ms) == (BOOT_MS, "weather", NOW_MS)


def test_a_last_will_takes_the_device_offline_and_keeps_what_it_told_before(
    board: StatusBoard,
) -> None:
    take(board, payload(qos=1, boot=BOOT_MS))
    take(board, payload("offline"), now_ms=NOW_MS + 5)
    status = board.get("d1")
    assert status is not None
    assert (status.state, status.qos, status.since_ms) == ("offline", 1, NOW_MS + 5)


def test_a_state_that_was_retained_began_with_the_boot_or_nobody_knows_when(
    board: StatusBoard,
) -> None:
    take(board, payload(boot=BOOT_MS), retained=True)
    take(board, payload("offline"), topic="status/hall/d2", retained=True)
    states = board.all()
    assert states["d1"].since_ms == BOOT_MS
    assert states["d2"].since_ms is None


def test_hearing_the_same_state_again_does_not_begin_it_anew(board: StatusBoard) -> None:
    take(board, payload(qos=1, boot=BOOT_MS))
    take(board, payload(qos=1, boot=BOOT_MS), retained=True, now_ms=NOW_MS + 9_000)
    status = board.get("d1")
    assert status is not None
    assert status.since_ms == NOW_MS


def test_an_empty_status_forgets_the_device(board: StatusBoard) -> None:
    take(board, payload())
    take(board, b"")
    assert board.get("d1") is None
    assert board.refused == 0


@pytest.mark.parametrize(
    "message",
    [b"online", b"[]", b'{"state":"up"}', payload(qos=3), payload(qos="1"), payload(boot=-1)],
)
def test_a_status_that_cannot_be_read_is_counted_and_changes_nothing(
    board: StatusBoard, message: bytes
) -> None:
    take(board, payload(qos=1))
    take(board, message)
    assert board.refused == 1
    status = board.get("d1")
    assert status is not None
    assert status.state == "online"


def test_a_status_with_a_name_that_breaks_the_rule_is_refused(board: StatusBoard) -> None:
    take(board, payload(), topic="status/hall/<script>")
    assert (len(board), board.refused) == (0, 1)


def test_a_very_long_status_is_refused(board: StatusBoard) -> None:
    take(board, payload(note="x" * 10_000))
    assert (len(board), board.refused) == (0, 1)


def test_no_more_devices_are_kept_than_allowed(board: StatusBoard) -> None:
    for number in range(5):
        take(board, payload(), topic=f"status/hall/d{number}")
    take(board, payload("offline"), topic="status/hall/d0")
    assert (len(board), board.refused) == (3, 2)
    assert board.all()["d0"].state == "offline"


def test_our_own_services_are_no_devices(board: StatusBoard) -> None:
    take(board, payload(), topic="status/denyut/ingest-1")
    assert len(board) == 0
