"""The spool gives back in order what it was given, keeps its budget, and loses no record."""

from pathlib import Path

import pytest

from ingest.spool import Spool, SpoolFull, SpoolInUse, list_segments, segments
from ingest.spool_segment import HEADING, Record
from tests.full_disk import no_file_beyond

BUDGET = 10**6


def line(number: int) -> bytes:
    return f"m,device=a,site=s a={number}.0 {number}\n".encode()


def opened(folder: Path, budget_bytes: int = BUDGET) -> Spool:
    spool = Spool(folder, budget_bytes)
    spool.open()
    return spool


def give_back(spool: Spool) -> list[Record]:
    found = []
    while (record := spool.oldest()) is not None:
        found.append(record)
        spool.remove(record)
    return found


def lines(found: list[Record]) -> list[bytes]:
    return [record.lines for record in found]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """About three records of `line` fit into a segment."""
    monkeypatch.setattr("ingest.spool._SEGMENT_BYTES", len(HEADING) + 250)


@pytest.mark.usefixtures("small_segments")
def test_records_come_back_in_order_over_several_segments_which_go_with_them(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path)
    for number in range(10):
        spool.append(line(number), (0, 1, 0))
    assert len(segments(tmp_path)) > 2

    assert lines(give_back(spool)) == [line(number) for number in range(10)]
    assert segments(tmp_path) == []
    assert spool.bytes == 0


@pytest.mark.usefixtures("small_segments")
def test_the_next_process_takes_over_what_was_not_given_back(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for number in range(10):
        first.append(line(number), (1, 2, 3))
    first.close()

    second = Spool(tmp_path, BUDGET)
    assert second.open() == 60
    assert second.bytes == sum(path.stat().st_size for path in segments(tmp_path))
    assert lines(give_back(second)) == [line(number) for number in range(10)]


def test_a_record_that_was_not_removed_comes_again_also_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(line(1), (0, 1, 0))
    assert first.oldest() == first.oldest()
    first.close()

    assert lines(give_back(opened(tmp_path))) == [line(1)]


def test_what_is_appended_while_the_segment_is_given_back_comes_too(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    found = []
    for number in range(20):
        spool.append(line(number), (0, 1, 0))
        if number % 3:
            record = spool.oldest()
            assert record is not None
            spool.remove(record)
            found.append(record.lines)
    found += lines(give_back(spool))

    assert found == [line(number) for number in range(20)]


def test_past_its_budget_a_record_is_refused_and_room_comes_with_what_is_given_back(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path, 1000)
    for number in range(11):
        spool.append(line(number), (0, 1, 0))
    with pytest.raises(SpoolFull, match="of 1000 bytes"):
        spool.append(line(11), (0, 1, 0))
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 1000
    assert len(give_back(spool)) == 11

    spool.append(line(0), (0, 1, 0))


def test_one_process_at_a_time_holds_the_folder(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(SpoolInUse, match="in use by another ingest"):
        Spool(tmp_path, BUDGET).open()
    first.close()

    opened(tmp_path)


@pytest.mark.parametrize("beyond", [0, 10, len(HEADING), len(HEADING) + 60])
def test_a_full_disk_keeps_nothing_of_the_record_and_leaves_no_file_behind(
    tmp_path: Path, beyond: int
) -> None:
    spool = opened(tmp_path)
    for _ in range(3):
        with no_file_beyond(beyond), pytest.raises(OSError, match="too large"):
            spool.append(line(1), (0, 1, 0))
    spool.append(line(2), (0, 1, 0))

    assert len(segments(tmp_path)) == 1
    assert spool.bytes == segments(tmp_path)[0].stat().st_size
    assert lines(give_back(spool)) == [line(2)]
    assert spool.bytes == 0


def test_a_disk_that_fills_up_in_the_middle_of_a_segment_leaves_the_rest_of_it_readable(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path)
    spool.append(line(1), (0, 1, 0))
    (path,) = segments(tmp_path)
    with no_file_beyond(path.stat().st_size + 30), pytest.raises(OSError, match="too large"):
        spool.append(line(2), (0, 1, 0))
    spool.append(line(3), (0, 1, 0))

    assert segments(tmp_path) == [path]
    assert lines(give_back(spool)) == [line(1), line(3)]


def test_nothing_is_written_behind_what_could_not_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torn record in the middle would hide those behind it."""
    spool = opened(tmp_path)
    spool.append(line(1), (0, 1, 0))

    def tear(path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data[:40])
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("ingest.spool.append_durably", tear)
        with pytest.raises(OSError, match="Input/output"):
            spool.append(line(2), (0, 1, 0))
    spool.append(line(3), (0, 1, 0))
    spool.close()

    assert lines(give_back(opened(tmp_path))) == [line(1), line(3)]


@pytest.mark.usefixtures("small_segments")
def test_a_segment_that_cannot_be_removed_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the place within it was kept for the next one, that was cut short or thrown away."""
    spool = opened(tmp_path)
    for number in range(10):
        spool.append(line(number), (0, 1, 0))
    found, failures = [], 0

    def fail(_path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(1, f"Operation not permitted ({missing_ok})")

    for attempt in range(40):
        with monkeypatch.context() as broken:
            if attempt % 2:
                broken.setattr(Path, "unlink", fail)
            try:
                record = spool.oldest()
                if record is not None:
                    found.append(record.lines)
                    spool.remove(record)
            except OSError:
                failures += 1

    assert failures
    assert found == [line(number) for number in range(10)]


@pytest.mark.usefixtures("small_segments")
def test_a_segment_that_somebody_took_away_is_told_with_how_many_readings_it_held(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path)
    for number in range(7):
        spool.append(line(number), (0, 1, 0))
    first, second, *_ = segments(tmp_path)
    held = next(one.readings for one in list_segments(tmp_path) if one.path == second)
    second.unlink()

    found = give_back(spool)

    (gone,) = [one for one in found if not one.is_whole]
    assert (gone.path, gone.readings, gone.lines) == (second, held, b"")
    assert sum(one.readings for one in found) == 7
    assert spool.bytes == 0
    assert not first.exists()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_damaged_header_costs_its_own_record_only(tmp_path: Path, restarted: bool) -> None:
    spool = opened(tmp_path)
    for number in range(5):
        spool.append(line(number), (0, 1, 0))
    (path,) = segments(tmp_path)
    content = path.read_bytes()
    place = content.index(line(2)) - 20
    path.write_bytes(content[:place] + b"?" + content[place + 1 :])
    if restarted:
        spool.close()
        spool = Spool(tmp_path, BUDGET)
        assert spool.open() == 4

    found = give_back(spool)

    assert lines([one for one in found if one.is_whole]) == [line(n) for n in (0, 1, 3, 4)]
    (damaged,) = [one for one in found if not one.is_whole]
    assert damaged.lines.endswith(line(2))
    assert sum(one.readings for one in found) == (4 if restarted else 5)


def test_a_torn_end_of_the_last_process_is_passed_over(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(line(1), (0, 1, 0))
    spool.append(line(2), (0, 1, 0))
    spool.close()
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    spool = Spool(tmp_path, BUDGET)
    assert spool.open() == 1
    spool.append(line(3), (0, 1, 0))

    assert lines(give_back(spool)) == [line(1), line(3)]
    assert list(tmp_path.iterdir()) == [tmp_path / ".lock"]


@pytest.mark.usefixtures("small_segments")
def test_what_is_handed_on_is_taken_over_by_the_other_while_it_runs(tmp_path: Path) -> None:
    leaving, staying = opened(tmp_path / "1"), opened(tmp_path / "2")
    staying.append(line(0), (0, 1, 0))
    for number in range(1, 8):
        leaving.append(line(number), (0, 1, 0))
    record = leaving.oldest()
    assert record is not None
    leaving.remove(record)

    assert leaving.hand_on(tmp_path / "2") == 6
    assert leaving.oldest() is None
    assert leaving.bytes == 0

    # What was given back of the first segment comes again, which changes nothing.
    assert staying.take_over() == 7
    assert lines(give_back(staying)) == [line(number) for number in range(8)]
    assert staying.take_over() == 0


def test_handing_on_replaces_no_file_of_the_other(tmp_path: Path) -> None:
    leaving, other = opened(tmp_path / "1"), opened(tmp_path / "2")
    leaving.append(line(1), (0, 1, 0))
    other.append(line(2), (0, 1, 0))
    other.close()
    (path,) = segments(tmp_path / "1")
    segments(tmp_path / "2")[0].rename(tmp_path / "2" / path.name)

    leaving.hand_on(tmp_path / "2")

    assert sorted(lines(give_back(opened(tmp_path / "2")))) == [line(1), line(2)]


def test_a_list_of_segments_can_be_made_while_an_ingest_uses_them(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(line(1), (1, 2, 3))
    spool.append(line(2), (0, 1, 0))

    (found,) = list_segments(tmp_path)

    assert (found.records, found.readings, found.bytes) == (2, 7, spool.bytes)


@pytest.mark.usefixtures("small_segments")
def test_records_that_one_write_takes_come_together_as_far_as_they_fit_and_are_whole(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path)
    for number in range(5):
        spool.append(line(number), (0, 1, 0))
    (first, *_others) = segments(tmp_path)
    in_first = sum(found.readings for found in list_segments(tmp_path) if found.path == first)

    assert lines(spool.oldest_together(2)) == [line(0), line(1)]
    assert lines(spool.oldest_together(1000)) == [line(number) for number in range(in_first)]
    assert 1 < in_first < 5
    first.write_bytes(first.read_bytes().replace(b"a=1.0", b"a=7.0"))
    assert lines(spool.oldest_together(1000)) == [line(0)]
