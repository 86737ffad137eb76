"""`denyut-grafana` against a server that keeps to Grafana's documented HTTP API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loadtest.marks import run_mark, stage_mark, write_marks
from loadtest.results import MARKS
from stack.grafana.__main__ import application
from stack.ports import reserve_port
from tests.integration.grafana.documented_grafana import (
    TOKEN,
    DocumentedGrafana,
    documented_grafana,
)

STORE_TOKEN = "a-token-that-may-read"
DASHBOARDS = {
    "denyut-fleet", "denyut-device", "denyut-delivery", "denyut-pipeline", "denyut-load-test",
}  # fmt: skip
Run = Callable[..., Result]


@pytest.fixture
def grafana() -> Iterator[DocumentedGrafana]:
    with documented_grafana() as served:
        yield served


@pytest.fixture
def run(grafana: DocumentedGrafana, tmp_path: Path) -> Run:
    """Run the command; what is given in capitals is a variable more."""
    for name, secret in {"token": TOKEN, "store-token": STORE_TOKEN}.items():
        (tmp_path / name).write_text(secret)
    environment = {
        "GRAFANA_URL": grafana.url,
        "GRAFANA_TOKEN_FILE": str(tmp_path / "token"),
        "GRAFANA_STORE_TOKEN_FILE": str(tmp_path / "store-token"),
    }

    def run_it(*arguments: str, **variables: str | None) -> Result:
        result = CliRunner().invoke(application, arguments, env={**environment, **variables})
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert TOKEN not in result.output
        assert STORE_TOKEN not in result.output
        return result

    return run_it


def refused(result: Result) -> str:
    """The one line with which a command was refused."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_a_push_makes_folder_sources_and_dashboards_and_a_second_one_changes_nothing(
    run: Run, grafana: DocumentedGrafana
) -> None:
    first = run("push", GRAFANA_STORE_URL="http://store.example:8086")
    made = list(grafana.changed_by)
    second = run("push", GRAFANA_STORE_URL="http://store.example:8086")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert grafana.folders == {"denyut": "Denyut"}
    assert grafana.dashboards.keys() == DASHBOARDS
    assert set(grafana.folder_of.values()) == {"denyut"}
    assert len(first.output.splitlines()) == len(made) == 8
    assert grafana.changed_by == made
    assert second.output == "everything is there as it shall be\n"


def test_data_sources_get_the_stores_address_and_token_and_are_nobodys_default(
    run: Run, grafana: DocumentedGrafana
) -> None:
    run("push", GRAFANA_STORE_URL="http://store.example:8086", GRAFANA_STORE_ORG="ours")

    by_influxql, by_flux = grafana.sources["denyut-influxql"], grafana.sources["denyut-flux"]
    assert by_influxql["secureJsonData"] == {"httpHeaderValue1": f"Token {STORE_TOKEN}"}
    assert by_flux["secureJsonData"] == {"token": STORE_TOKEN}
    assert by_flux["jsonData"]["organization"] == "ours"
    for source in (by_influxql, by_flux):
        assert source["url"] == "http://store.example:8086"
        assert source["isDefault"] is False


def test_what_somebody_has_changed_is_shown_and_put_right(
    run: Run, grafana: DocumentedGrafana
) -> None:
    run("push")
    grafana.dashboards["denyut-fleet"]["title"] = "Fleet, mine"
    grafana.sources["denyut-flux"]["url"] = "http://elsewhere"
    before = list(grafana.changed_by)

    shown = run("diff")

    assert shown.exit_code == 1
    assert "~ dashboard Fleet" in shown.output
    assert '- "title": "Fleet, mine"' in shown.output
    assert "~ data source Denyut (Flux)" in shown.output
    assert grafana.changed_by == before, "a diff changes nothing"
    assert run("push").exit_code == 0
    assert grafana.dashboards["denyut-fleet"]["title"] == "Fleet"
    assert grafana.dashboards["denyut-fleet"]["version"] == 2
    assert run("diff").exit_code == 0


def test_a_diff_needs_no_token_of_the_store(run: Run) -> None:
    assert run("diff", GRAFANA_STORE_TOKEN_FILE=None).exit_code == 1


def test_a_push_without_a_token_of_the_store_is_not_begun(
    run: Run, grafana: DocumentedGrafana
) -> None:
    assert "GRAFANA_STORE_TOKEN_FILE" in refused(run("push", GRAFANA_STORE_TOKEN_FILE=None))
    assert grafana.changed_by == []


def test_a_wrong_token_is_said_in_one_line(run: Run, grafana: DocumentedGrafana) -> None:
    grafana.token = "another"

    assert "does not take the token" in refused(run("push"))
    assert grafana.changed_by == []


def test_an_old_grafana_is_said_in_one_line(run: Run, grafana: DocumentedGrafana) -> None:
    grafana.version = "9.5.2"

    assert refused(run("push")).endswith("is Grafana 9.5.2: 11.0 is needed")
    assert grafana.changed_by == []


def a_folder(grafana: DocumentedGrafana) -> None:
    grafana.folders["x1"] = "Denyut"


def a_source(grafana: DocumentedGrafana) -> None:
    grafana.sources["x2"] = {"uid": "x2", "name": "Denyut (Flux)", "type": "prometheus"}


def a_dashboard(grafana: DocumentedGrafana) -> None:
    grafana.folders["denyut"] = "Denyut"
    grafana.dashboards["x3"] = {"uid": "x3", "title": "Pipeline", "version": 1}
    grafana.folder_of["x3"] = "denyut"


def a_provisioned_dashboard(grafana: DocumentedGrafana) -> None:
    grafana.folders["denyut"] = "Denyut"
    grafana.dashboards["denyut-fleet"] = {"uid": "denyut-fleet", "title": "Fleet", "version": 1}
    grafana.folder_of["denyut-fleet"] = "denyut"
    grafana.provisioned.add("denyut-fleet")


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (a_folder, "the folder 'Denyut' is there with the uid 'x1'"),
        (a_source, "the data source 'Denyut (Flux)' is there with uid 'x2'"),
        (a_dashboard, "the dashboard 'Pipeline' is there with the uid 'x3'"),
        (a_provisioned_dashboard, "the dashboard 'Fleet' is provisioned there by files"),
    ],
)
def test_a_name_that_is_taken_is_said_and_nothing_is_pushed(
    run: Run, grafana: DocumentedGrafana, taken: Callable[[DocumentedGrafana], None], said: str
) -> None:
    taken(grafana)

    assert refused(run("push")) == said
    assert grafana.changed_by == []


def test_what_was_done_before_a_step_is_refused_is_undone(
    run: Run, grafana: DocumentedGrafana
) -> None:
    run("push")
    grafana.dashboards["denyut-device"]["title"] = "Mine"
    del grafana.dashboards["denyut-pipeline"]
    del grafana.sources["denyut-flux"]
    forbidden = {"message": "You'll need additional permissions to perform this action"}
    served = 0

    def refuse_the_second(*asked: object, **_: Any) -> tuple[int, Any]:
        nonlocal served
        served += 1
        return (403, forbidden) if served == 2 else save(*asked, **_)

    save = grafana._save_dashboard
    grafana._save_dashboard = refuse_the_second  # type: ignore[method-assign]

    line = refused(run("push"))

    assert "the token may not do that" in line
    assert line.endswith("at dashboard Pipeline; nothing was changed")
    assert "denyut-flux" not in grafana.sources
    assert "denyut-pipeline" not in grafana.dashboards
    assert grafana.dashboards["denyut-device"]["title"] == "Mine"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {"message": "database is locked"}), "database is locked (500)"),
        ((502, "<html>bad gateway</html>"), "<html>bad gateway</html> (502)"),
        ((200, "<html>a page</html>"), "does not answer as Grafana does"),
        ((200, {"no": "list"}), "does not answer as Grafana does"),
    ],
)
def test_another_answer_than_grafanas_is_one_line(
    run: Run, grafana: DocumentedGrafana, answer: tuple[int, object], said: str
) -> None:
    grafana.refused["GET /api/folders"] = answer

    assert refused(run("push")).endswith(said)


def test_a_grafana_that_is_not_there_is_one_line(run: Run) -> None:
    reservation = reserve_port()
    line = refused(run("push", GRAFANA_URL=f"http://127.0.0.1:{reservation.port}"))
    reservation.release()

    assert "cannot be reached" in line


@pytest.mark.parametrize("url", ["grafana.example", "http://user:word@grafana.example/", "ftp://x"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(run: Run, url: str) -> None:
    assert "GRAFANA_URL" in refused(run("diff", GRAFANA_URL=url))


def test_a_mark_has_our_tag_and_its_own(run: Run, grafana: DocumentedGrafana) -> None:
    at = ["--start", "2026-11-25T13:00:00Z", "--stop", "2026-11-25T13:05:00Z"]
    result = run("annotate", "300 readers", "--tag", "loadtest", *at)

    assert result.exit_code == 0, result.output
    (mark,) = grafana.marks
    assert (mark["text"], mark["tags"]) == ("300 readers", ["denyut", "loadtest"])
    assert mark["timeEnd"] - mark["time"] == 300_000
    assert mark["time"] == 1_795_611_600_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--start", "yesterday"],
        ["x", "--start", "2026-11-25T13:00:00Z", "--stop", "2026-11-25T12:00:00Z"],
        [" "],
        ["x" * 1_001],
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(
    run: Run, grafana: DocumentedGrafana, arguments: list[str]
) -> None:
    refused(run("annotate", *arguments))

    assert grafana.asked == []


def test_the_marks_that_a_load_test_leaves_are_set(
    run: Run, grafana: DocumentedGrafana, tmp_path: Path
) -> None:
    write_marks([stage_mark("200 readers", 1_000, 5_000), run_mark([], 1_000, 9_000)], tmp_path)

    assert run("annotate", "--file", str(tmp_path / MARKS)).exit_code == 0

    assert [(mark["time"], mark["timeEnd"]) for mark in grafana.marks] == [
        (1_000, 5_000),
        (1_000, 9_000),
    ]
    assert all({"denyut", "loadtest"} <= set(mark["tags"]) for mark in grafana.marks)


@pytest.mark.parametrize("text", ["", "{}", '[{"time": 1}]', '[{"time": "x"}]'])
def test_a_file_without_marks_is_refused(
    run: Run, grafana: DocumentedGrafana, tmp_path: Path, text: str
) -> None:
    (tmp_path / "marks.json").write_text(text)

    assert "holds no marks" in refused(run("annotate", "--file", str(tmp_path / "marks.json")))
    assert "No such file" in refused(run("annotate", "--file", str(tmp_path / "none.json")))
    assert grafana.asked == []
