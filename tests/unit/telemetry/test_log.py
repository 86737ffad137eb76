"""The log: what is in it, and what is left out."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry import log
from telemetry.settings import Secret, Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_library_that_tells_of_each_file_or_request_is_not_heard(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("ingest", Settings.load({}, log_level=level, log_format="json"))

    logging.getLogger("watchfiles.main").info("3 changes detected")
    logging.getLogger("watchfiles.main").warning("a folder cannot be watched")
    logging.getLogger("ours").info("a line")

    said = capsys.readouterr().err
    assert "changes" not in said
    assert "cannot be watched" in said
    assert "a line" in said


Captured = pytest.CaptureFixture[str]


def json_lines(captured: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_our_lines_and_a_librarys_have_one_form_in_json(capsys: Captured) -> None:
    log.configure("ingest", Settings.load({}, log_format="json"))

    log.get("ours").warning("the store is away", batch=3, path=None)
    logging.getLogger("theirs").warning("%d of %s", 2, "three")

    ours, theirs = json_lines(capsys)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ours.pop("timestamp"))
    assert ours == {
        "event": "the store is away",
        "batch": 3,
        "path": None,
        "service": "ingest",
        "level": "warning",
        "logger": "ours",
    }
    assert (theirs["event"], theirs["service"], theirs["logger"]) == (
        "2 of three",
        "ingest",
        "theirs",
    )
    assert theirs.keys() == ours.keys() - {"batch", "path"} | {"timestamp"}


def test_a_line_in_text_is_one_line_whatever_its_facts_hold(capsys: Captured) -> None:
    log.configure("api", Settings.load({}, log_format="text"))

    log.get("ours").info("a key", name="two words", text="a\nb\x1b[2J", empty="", number=1.5)

    (said,) = capsys.readouterr().err.splitlines()
    assert "[info    ] a key " in said
    assert said.endswith(
        r" name='two words' text='a\nb\x1b[2J' empty='' number=1.5 service=api logger=ours"
    )


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_among_the_facts_is_not_seen(capsys: Captured, form: str) -> None:
    log.configure("api", Settings.load({}, log_format=form))

    log.get("ours").info("a token", token=Secret("hidden"), more=[Secret("hidden")])

    said = capsys.readouterr().err
    assert "a token" in said
    assert "hidden" not in said


def test_an_exception_is_told_with_its_traceback(capsys: Captured) -> None:
    log.configure("api", Settings.load({}, log_format="json"))
    error = ValueError("handed over")

    log.get("ours").error("one", exc_info=error)
    try:
        raise KeyError("in hand")
    except KeyError:
        log.get("ours").exception("two")
        log.get("ours").warning("three", exc_info=True)
    log.get("ours").error("four")

    told = [line.get("exception", "") for line in json_lines(capsys)]
    assert told[0] == "ValueError: handed over"
    assert all(one.startswith("Traceback") and one.endswith("'in hand'") for one in told[1:3])
    assert told[3] == ""


def test_lines_below_the_level_are_left_out(capsys: Captured) -> None:
    log.configure("api", Settings.load({}, log_level="warning", log_format="json"))

    log.get("ours").info("left out")
    log.get("ours").warning("kept")

    assert [line["event"] for line in json_lines(capsys)] == ["kept"]


def test_what_is_bound_is_told_by_all_lines_until_it_is_unbound(capsys: Captured) -> None:
    log.configure("api", Settings.load({}, log_format="json"))

    log.bind(request_id="r-1")
    log.get("ours").info("one")
    logging.getLogger("theirs").warning("two")
    log.unbind("request_id")
    log.get("ours").info("three")

    assert [line.get("request_id") for line in json_lines(capsys)] == ["r-1", "r-1", None]
