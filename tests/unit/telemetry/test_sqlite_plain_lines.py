"""Lines on the short way into SQLite say the same as on the long one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.lineprotocol import format_line
from telemetry.reading import Reading
from telemetry.store import Selection, StoreError
from telemetry.store.sqlite import SQLiteStore
from telemetry.store.sqlite.plain_lines import PlainLine, read_plain, shape_of
from tests.strategies import readings


@given(readings())
def test_a_plain_line_says_what_its_reading_does_and_what_is_not_plain_is_left(
    reading: Reading,
) -> None:
    line = format_line(reading)
    plain = read_plain(line)

    has_text = any(isinstance(value, str) for value in reading.values.values())
    assert (plain is None) == has_text
    if plain is not None:
        assert line.startswith(f"{plain.head} ")
        assert (plain.time_ms, plain.boot_ms, plain.seq) == (
            reading.time_ms,
            reading.boot_ms,
            reading.seq,
        )
        values = msgspec.json.decode(plain.fields)
        assert values == reading.values
        assert dict(plain.types) == {name: type(value) for name, value in reading.values.items()}
        assert {name: type(value) for name, value in values.items()} == dict(plain.types)


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ("a=21", '{"a":21.0}'),
        ("a=-0", '{"a":-0.0}'),
        ("a=1e-07,b=1.5e+16", '{"a":1e-07,"b":1.5e+16}'),
        ("on=true,a=0.5", '{"on":true,"a":0.5}'),
    ],
)
def test_a_number_is_a_float_however_it_is_written(fields: str, values: str) -> None:
    plain = read_plain(f"m,device=d,site=s {fields},seq=7i 5")

    assert plain is not None
    assert plain.fields == values
    assert (plain.boot_ms, plain.seq) == (None, 7)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "m,device=d,site=s a=1.0",
        "m,device=d,site=s a=1i 5",
        "m,device=d,site=s a 5",
        "m,device=d,site=s a=,b=1 5",
        "m,device=d,site=s a=1.0,seq=77 5",
        "m,device=d,site=s seq=7i,a=1.0 5",
        'm,device=d,site=s a="x.y" 5',
        "m,device=d\\ e,site=s a=1.0 5",
        "m,device=d,site=s a=nothing 5",
    ],
)
def test_what_is_not_plain_is_read_the_long_way(line: str) -> None:
    assert read_plain(line) is None


@given(readings(), readings())
def test_what_a_shape_takes_it_reads_as_the_line_alone_is_read(
    learned: Reading, reading: Reading
) -> None:
    known, line = read_plain(format_line(learned)), format_line(reading)
    if known is None:
        return
    found = shape_of(known.types).match(line, line.find(" "))
    plain = read_plain(line)
    if found is not None:
        assert plain is not None
        *values, boot_ms, seq, time_ms = found.groups()
        assert plain.types == known.types
        assert plain.fields == shape_of(known.types).template % tuple(values)
        assert (plain.boot_ms, plain.seq, plain.time_ms) == (int(boot_ms), int(seq), int(time_ms))


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ("a%=2.25,on=false,boot=1i,seq=2i", True),
        ("a%=2,on=false,boot=1i,seq=2i", False),
        ("a%=2.25,on=0.5,boot=1i,seq=2i", False),
        ("a%=2.25,boot=1i,seq=2i", False),
        ("a%=2.25,on=false,b=1.0,boot=1i,seq=2i", False),
        ("a%=2.25,on=false", False),
        ("a%=2.25,on=false,boot=1i,seq=2i 7", False),
    ],
)
def test_a_shape_takes_lines_of_the_same_fields_and_types_alone(
    fields: str, *, taken: bool
) -> None:
    head = "m,device=d,site=s"
    shape = shape_of((("a%", float), ("on", bool)))

    found = shape.match(f"{head} {fields} 5", len(head))

    assert (found is not None) == taken
    if found is not None:
        assert shape.template % found.groups()[:-3] == '{"a%":2.25,"on":false}'


@given(st.lists(readings(), min_size=1, max_size=8))
@settings(max_examples=15)
def test_lines_and_readings_come_to_the_same_in_the_store(given_readings: list[Reading]) -> None:
    lines = [format_line(one).encode() for one in given_readings]
    everything = Selection(start_ms=0, stop_ms=2**62)
    found = []
    with TemporaryDirectory() as folder:
        for name, write in (("a", SQLiteStore.write), ("b", SQLiteStore.write_lines)):
            store = SQLiteStore(f"{folder}/{name}")
            for _round in range(4):  # what a store remembers of the first ones changes nothing
                write(store, lines if name == "b" else given_readings)  # type: ignore[arg-type]
            stored = list(store.readings(everything, limit=100))
            found.append((stored, store.fields(), store.series()))
            store.close()

    assert found[0] == found[1]


def test_a_plain_line_is_a_named_tuple_of_what_a_row_needs() -> None:
    line = "m,device=d,site=s a=1.5,boot=3i,seq=4i 5"
    assert read_plain(line) == PlainLine("m,device=d,site=s", 5, 3, 4, '{"a":1.5}', (("a", float),))


def test_what_a_rollback_takes_back_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SQLiteStore(str(path))
    store.write_lines([b"n,device=d,site=s a=1.5 4"])
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON reading BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        for _ in range(2):
            with pytest.raises(StoreError):
                store.write_lines([b"m,device=d,site=s a=1.5 5", b"m,device=d,site=s a=1.5 6"])
        other.execute("DROP TRIGGER broken")

    store.write_lines([b"m,device=d,site=s a=1.5 5", b"m,device=d,site=s b=true 6"])

    assert [(one.measurement, one.name) for one in store.fields()] == [
        ("m", "a"),
        ("m", "b"),
        ("n", "a"),
    ]
    assert [one.measurement for one in store.series()] == ["m", "n"]
    store.close()
