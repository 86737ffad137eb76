"""The table and the charts of the measurements say what the run in the documentation says."""

from bench.row import Row
from docs.measured import FIGURES, Curve, compared, curves, merged
from docs.measured.__main__ import wanted
from docs.measured.compared_chart import compared_chart
from docs.measured.growth_chart import growth_chart

COST = Row("ingest cpu qos1 vs telegraf", 10.0, 30.0, 0.333, "<= 0.4 times", True, 11)
MEMORY = Row("ingest memory vs telegraf", 60.0, 80.0, 0.75, "<= 0.3 times", False, 11)
POINTS = [
    Row(f"ingest cpu us at devices={devices}", cost, None, None, "-", True, 11)
    for devices, cost in ((20_000, 12.0), (100, 10.5), (1_000, 11.0))
]


def test_the_page_and_its_charts_are_as_the_figures_say() -> None:
    assert FIGURES.exists()

    old = [path for path, text in wanted().items() if path.read_text(encoding="utf-8") != text]

    assert old == [], "python -m docs.measured"


def test_what_is_compared_is_told_apart_from_the_points_of_curves() -> None:
    rows = [COST, *POINTS, MEMORY]

    assert compared(rows) == [COST, MEMORY]
    assert curves(rows) == [
        Curve("ingest cpu us", "devices", [(100, 10.5), (1_000, 11.0), (20_000, 12.0)])
    ]


def test_a_row_that_was_measured_again_takes_the_place_of_the_old_one() -> None:
    again = Row(COST.name, 9.0, 30.0, 0.3, COST.target, True, 11)

    assert merged([COST, MEMORY], [again]) == [again, MEMORY]


def test_the_chart_says_what_was_reached_and_what_was_not() -> None:
    drawn = compared_chart([COST, MEMORY])

    assert "&lt;= 0.4 times: reached" in drawn
    assert "&lt;= 0.3 times: not reached" in drawn
    assert drawn.count('class="missed"') == 1
    assert "prefers-color-scheme:dark" in drawn


def test_curves_are_drawn_with_each_of_their_points() -> None:
    drawn = growth_chart(curves(POINTS))

    assert drawn.count("<polyline") == 1
    assert ">1.14 times for 200 times<" in drawn
    assert [word in drawn for word in (">20k<", ">1k<", ">100<", ">10.5<", ">devices<")] == [
        True
    ] * 5
