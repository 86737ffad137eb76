"""The table of all ways, in both languages."""

from collections.abc import Callable, Sequence

from bench.compare.figures import Compared, Cpu, Latency
from docs.comparison import Results
from docs.comparison.words import Language, Words, number

_UNKNOWN, _NO_CPU = Latency(None, None), Cpu(None, None, None)
_NOTHING = "-"
_KEPT, _NOT_KEPT = Words("kept", "terjaga"), Words("not kept", "tidak terjaga")
_OF = Words("**{lost} of {offered}**", "**{lost} dari {offered}**")

Cell = Callable[[Compared, Language], str]


def fast(results: Results, language: Language) -> str:
    """Return how fast each way is."""
    return _table(results, language, _FAST)


def costs(results: Results, language: Language) -> str:
    """Return what each way costs, and what it loses."""
    return _table(results, language, _COSTS)


def rows(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *cells]
    return (
        "\n".join(f"| {' | '.join(line)} |" for line in lines)
        .replace("| --- ", "|---")
        .replace("|--- |", "|---|")
    )


def _table(results: Results, language: Language, columns: Sequence[tuple[Words, Cell]]) -> str:
    headings = [Words("way", "cara").say(language)]
    headings += [heading.say(language) for heading, _cell in columns]
    cells = [
        [f"`{one.name}`", *(cell(one, language) for _heading, cell in columns)]
        for one in results.values()
    ]
    return rows(headings, cells)


def _lost(lost: int | None, offered: int | None, language: Language) -> str:
    if not lost:
        return number(lost, language)
    return _OF.say(language, lost=number(lost, language), offered=number(offered, language))


def _order(one: Compared, language: Language) -> str:
    if one.ordered is None:
        return _NOTHING
    return (_KEPT if one.ordered else _NOT_KEPT).say(language)


_FAST: tuple[tuple[Words, Cell], ...] = (
    (
        Words("readings/s in packs of 50", "bacaan/detik, paket berisi 50"),
        lambda one, language: number(one.readings_per_second, language),
    ),
    (
        Words("one a message", "satu per pesan"),
        lambda one, language: number(one.single_readings_per_second, language),
    ),
    (
        Words("latency p50, ms", "latensi p50, md"),
        lambda one, language: number((one.latency_ms or _UNKNOWN).p50, language),
    ),
    (Words("p99", "p99"), lambda one, language: number((one.latency_ms or _UNKNOWN).p99, language)),
    (
        Words("limited by", "dibatasi oleh"),
        lambda one, _language: (one.limited_by or _NOTHING).replace("|", "/"),
    ),
)
_COSTS: tuple[tuple[Words, Cell], ...] = (
    (
        Words("CPU a reading, µs: sender", "CPU per bacaan, µs: pengirim"),
        lambda one, language: number((one.single_cpu_us or _NO_CPU).sender, language, 1),
    ),
    (
        Words("between", "di antaranya"),
        lambda one, language: number((one.single_cpu_us or _NO_CPU).between, language, 1),
    ),
    (
        Words("ingest", "ingest"),
        lambda one, language: number((one.single_cpu_us or _NO_CPU).ingest, language, 1),
    ),
    (
        Words("bytes a reading", "byte per bacaan"),
        lambda one, language: number(one.bytes_per_reading, language),
    ),
    (
        Words("in packs", "dalam paket"),
        lambda one, language: number(one.packed_bytes_per_reading, language),
    ),
    (
        Words("lost: ingest killed", "hilang: ingest dimatikan paksa"),
        lambda one, language: _lost(one.lost_sigkill, one.offered_sigkill, language),
    ),
    (
        Words("away for 10 s", "tidak ada 10 detik"),
        lambda one, language: _lost(one.lost_away, one.offered_away, language),
    ),
    (Words("order", "urutan"), _order),
)
