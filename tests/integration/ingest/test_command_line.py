"""Ingest's command line: help, and a bad setting in one line before any socket opens."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

REQUIRED = {"INGEST_PASSWORD": "hush", "INGEST_STORE_URL": "sqlite:///unused.db"}


def ingest(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "INGEST_BATCH_READINGS",
            "many",
            "INGEST_BATCH_READINGS='many': a whole number from 1 to 100000 is allowed",
        ),
        (
            "INGEST_STORE_URL",
            "nonsense",
            "INGEST_STORE_URL='nonsense': http://HOST:8086 or sqlite:///PATH is allowed",
        ),
        (
            "INGEST_TOPICS",
            "a/{device}",
            "INGEST_TOPICS: 'a/{device}': names site not exactly once",
        ),
        (
            "INGEST_PASSWORD_FILE",
            "/nowhere",
            "INGEST_PASSWORD and INGEST_PASSWORD_FILE are both set: keep the file",
        ),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(variable: str, value: str, line: str) -> None:
    run = ingest(**REQUIRED | {variable: value})

    assert (run.returncode, run.stderr) == (2, f"ingest: {line}\n")


def test_a_missing_setting_is_named() -> None:
    run = ingest(INGEST_STORE_URL="sqlite:///unused.db")

    assert run.returncode == 2
    assert run.stderr.startswith("ingest: INGEST_PASSWORD (or INGEST_PASSWORD_FILE) is not set")


def test_a_port_that_is_taken_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = ingest(**REQUIRED | {"INGEST_HTTP_PORT": port, "INGEST_DATA_DIR": str(tmp_path)})

    assert run.returncode == 2
    assert port in run.stderr.splitlines()[-1]


def test_help_names_the_commands() -> None:
    run = ingest("--help")

    assert run.returncode == 0
    assert "quarantine" in run.stdout


def test_a_quarantine_that_is_not_there_is_said(tmp_path: Path) -> None:
    run = ingest("quarantine", "list", str(tmp_path / "none"))

    assert (run.returncode, run.stderr) == (2, f"ingest: {tmp_path}/none: no such folder\n")
