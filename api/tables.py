"""Readings as a table: row after row, page after page, however many there are."""

import csv
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from api.questions import Aggregation, Questions
from api.readings import Range, ReadingAnswer
from api.times import rfc3339
from telemetry import log
from telemetry.store import Bucket, Position, Row, StoreError

_PLACE = ("time", "site", "device", "measurement", "boot", "seq")
_FIRST_FIELD = len(_PLACE)
_BUCKETS_AT_ONCE = 10_000
_ROWS_AT_ONCE = 5_000  # of a page's text that is held at once

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection). Names of sites,
# devices, measurements and fields begin with a letter or a digit.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_log = log.get(__name__)
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

Item = TypeVar("Item")
Pages = Iterator[list[Row]]
Parts = Generator[bytes, None, None]


class Table(Struct, frozen=True):
    """The fields of a table, and its rows in pages that are asked for as they are taken."""

    fields: Sequence[str]
    pages: Pages


def table_of(questions: Questions, asked: Range, limit: int | None) -> Table:
    """Return the table that a question asks for, all of it or the first rows."""
    fields = asked.selection.fields or questions.field_names(asked.selection)
    if asked.aggregation is not None:
        pages = _buckets(questions, asked, asked.aggregation, fields)
    else:
        pages = questions.rows(
            asked.selection, fields, descending=asked.descending, after=asked.after
        )
    return Table(fields, _logged(_ahead(pages if limit is None else _first(pages, limit))))


def csv_parts(table: Table) -> Parts:
    """Yield a table as CSV (RFC 4180), its head along with the first page."""
    # A field may be called as a column of ours is.
    head = [f"values.{name}" if name in _PLACE else name for name in table.fields]
    text = _csv([(*_PLACE, *head)])
    begun = text.encode()
    for page in table.pages:
        odd = _odd_columns(page, len(table.fields))
        for rows in _pieces(page):
            body = _csv([_csv_row(row, odd) for row in rows]).encode() if odd else _plain(rows)
            yield begun + body
            begun = b""
    if begun:
        yield begun


def ndjson_parts(table: Table) -> Parts:
    """Yield a table as lines of JSON, each a reading as in a JSON answer."""
    for page in table.pages:
        for rows in _pieces(page):
            yield _encode_lines([_reading(row, table.fields) for row in rows])


def _buckets(
    questions: Questions, asked: Range, aggregation: Aggregation, fields: Sequence[str]
) -> Pages:
    after = asked.after
    while True:
        found = questions.table_buckets(
            asked.selection,
            aggregation,
            limit=_BUCKETS_AT_ONCE,
            descending=asked.descending,
            after=after,
        )
        if found:
            yield [_bucket_row(one, fields) for one in found]
        if len(found) < _BUCKETS_AT_ONCE:
            return
        last = found[-1]
        after = Position(last.start_ms, last.device, last.measurement, last.site)


def _bucket_row(one: Bucket, fields: Sequence[str]) -> Row:
    values = map(one.values.get, fields)
    return (one.start_ms, one.site, one.device, one.measurement, None, None, *values)


def _first(pages: Pages, limit: int) -> Pages:
    for page in pages:
        yield page[:limit]
        limit -= len(page)
        if limit <= 0:
            return


def _ahead(pages: Iterator[Item]) -> Iterator[Item]:
    """Look for the next page while the last one is taken."""
    with ThreadPoolExecutor(1, "table") as pool:
        coming = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield page


def _logged(pages: Pages) -> Pages:
    try:
        yield from pages
    except StoreError as error:
        _log.warning("a table broke off", reason=str(error))
        raise


def _pieces(page: list[Row]) -> Iterator[list[Row]]:
    rows = iter(page)
    while piece := list(islice(rows, _ROWS_AT_ONCE)):
        yield piece


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _odd_columns(page: list[Row], fields: int) -> list[int]:
    """Return which columns of values are not plain on this page: those with texts."""
    plain = {float, bool, type(None)}
    columns = range(_FIRST_FIELD, _FIRST_FIELD + fields)
    texts = [at for at in columns if not plain.issuperset(map(type, map(itemgetter(at), page)))]
    return list(columns) if texts else []


def _plain(rows: list[Row]) -> bytes:
    """Return rows without texts as CSV, in a third of the time: by way of JSON.

    There a number and a boolean is written alike. No name has a mark that CSV would quote.
    """
    lines = _encode([(rfc3339(row[0]), *row[1:4], _boot(row[4]), *row[5:]) for row in rows])
    text = lines[2:-2].replace(b'"', b"").replace(b",null", b",").replace(b"],[", b"\r\n")
    return text + b"\r\n"


def _csv_row(row: Row, odd: list[int]) -> Sequence[object]:
    cells = list(row)
    cells[0], cells[4] = rfc3339(row[0]), _boot(row[4])
    for at in odd:
        cells[at] = _cell(row[at])
    return cells


@lru_cache(10_000)
def _boot(boot_ms: int | None) -> str | None:
    return None if boot_ms is None else rfc3339(boot_ms)


def _cell(value: Any) -> object:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _reading(row: Row, fields: Sequence[str]) -> ReadingAnswer:
    time_ms, site, device, measurement, boot_ms, seq, *values = row
    told = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
    told_at = rfc3339(time_ms)
    return ReadingAnswer(told_at, site, device, measurement, told, _boot(boot_ms), seq)


PARTS: dict[str, Callable[[Table], Parts]] = {"csv": csv_parts, "ndjson": ndjson_parts}
