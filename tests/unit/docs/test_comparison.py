"""What the pages tell of the ways is made from one run, in both languages, and never by hand."""

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench.compare.figures import Compared, Cpu, Latency
from bench.compare.rows import ROWS
from docs.comparison import FIGURES, PAGES, Results, read
from docs.comparison.__main__ import filled, run, wanted
from docs.comparison.chart import chart
from docs.comparison.claims import SECTIONS, claims_table
from docs.comparison.tables import costs, fast
from docs.comparison.words import Language, number

SVG = "{http://www.w3.org/2000/svg}"


def measured(name: str, readings_per_second: float, *, lost: int = 0) -> Compared:
    cpu = Cpu(1.0, None, readings_per_second / 1_000)
    return Compared(
        name=name,
        promised=True,
        store="sqlite",
        rounds=3,
        readings_per_second=readings_per_second,
        single_readings_per_second=readings_per_second / 2,
        latency_ms=Latency(60.0, 120.0),
        cpu_us=cpu,
        single_cpu_us=cpu,
        bytes_per_reading=1_234.0,
        packed_bytes_per_reading=120.0,
        lost_sigkill=lost,
        lost_away=0,
        offered_sigkill=4_000,
        offered_away=14_000,
        ordered=True,
        limited_by="ingest, 98% of a core",
    )


def results(**changed: Compared) -> Results:
    found = {row.name: measured(row.name, 10_000) for row in ROWS}
    return {**found, **{name.replace("_", "-"): one for name, one in changed.items()}}


def verdicts(section: str, found: Results, language: Language = "en") -> list[str]:
    lines = claims_table(SECTIONS[section], found, language).splitlines()[2:]
    return [line.strip("| ").rpartition("|")[2].strip() for line in lines]


def test_the_pages_and_the_chart_are_as_their_figures_say() -> None:
    old = [path.name for path, text in wanted().items() if path.read_text("utf-8") != text]
    assert old == [], "python -m docs.comparison"


def test_the_figures_are_of_rows_that_there_are() -> None:
    assert FIGURES.exists()
    assert set(read()) <= {row.name for row in ROWS}


@pytest.mark.parametrize(
    ("unix", "verdict"),
    [(20_000, "agrees"), (10_500, "**no difference**"), (5_000, "**disagrees**")],
)
def test_a_claim_is_judged_by_the_figures(unix: float, verdict: str) -> None:
    assert verdicts("sockets", results(unix=measured("unix", unix)))[1] == verdict


def test_a_way_that_is_faster_in_one_manner_alone_is_so_in_part() -> None:
    http = msgspec.structs.replace(measured("http", 20_000), single_readings_per_second=500)

    assert verdicts("http", results(http=http))[1] == "in part"


def test_a_loss_where_none_may_be_is_a_claim_that_does_not_hold() -> None:
    assert verdicts("sockets", results())[0] == "agrees"
    assert verdicts("sockets", results(tcp=measured("tcp", 10_000, lost=1)))[0] == "**disagrees**"
    assert verdicts("sockets", results(tcp=measured("tcp", 10_000, lost=1)), "id")[0] == (
        "**tidak sesuai**"
    )


def test_what_was_not_measured_is_not_judged() -> None:
    nothing = Compared(name="tcp", promised=True, store="sqlite", why="no such server")
    table = claims_table(SECTIONS["sockets"], results(tcp=nothing), "en")

    assert "| TCP is reliable and ordered | not measured | - |" in table
    assert verdicts("sockets", {})[0] == "-"


def test_every_row_is_in_the_tables_and_numbers_are_written_as_the_language_does() -> None:
    for table in (fast, costs):
        for language in PAGES:
            assert all(f"`{row.name}`" in table(results(), language) for row in ROWS)
    assert "1,234" in costs(results(), "en")
    assert "1.234" in costs(results(), "id")
    assert (number(1_234.5, "en", 1), number(1_234.5, "id", 1)) == ("1,234.5", "1.234,5")
    assert number(None, "id") == "-"


def test_a_table_says_of_how_many_readings_some_are_lost() -> None:
    lossy = results(tcp=measured("tcp", 10_000, lost=7))

    assert "**7 of 4,000**" in costs(lossy, "en")
    assert "**7 dari 4.000**" in costs(lossy, "id")


def test_filling_a_page_again_changes_nothing_and_leaves_the_text_around_alone() -> None:
    page = "before\n<!-- compare: http -->\nold\n<!-- /compare -->\nafter\n"
    once = filled(page, results(), "en")

    assert filled(once, results(), "en") == once
    assert once.startswith("before\n<!-- compare: http -->\n| claim |")
    assert once.endswith("|\n<!-- /compare -->\nafter\n")


def test_the_chart_shows_every_row_and_says_what_was_not_measured() -> None:
    nothing = Compared(name="tcp", promised=True, store="sqlite", why="no such server")
    found = results(tcp=nothing)
    tree = ElementTree.fromstring(chart(found))
    texts = [one.text for one in tree.iter(f"{SVG}text")]

    assert all(row.name in texts for row in ROWS)
    assert texts.count("not measured") == 4
    width = float(str(tree.get("width")))
    ends = [float(str(r.get("x"))) + float(str(r.get("width"))) for r in tree.iter(f"{SVG}rect")]
    assert max(ends) < width
    assert re.search(r"prefers-color-scheme:\s*dark", chart(found))


def test_what_is_no_run_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures, given = tmp_path / "figures.json", tmp_path / "run.json"
    figures.write_text("[]")
    given.write_text("{}")
    monkeypatch.setattr("docs.comparison.__main__.FIGURES", figures)

    with pytest.raises(msgspec.ValidationError):
        run(given)

    assert figures.read_text() == "[]"
