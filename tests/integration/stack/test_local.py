"""A stack of real processes: what it starts, keeps secret, and ends by whatever way."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stack import StackError
from stack.local import LocalStack
from stack.ports import reserve_port
from stack.process import ROOMS, Process, ProcessFailed
from stack.services import Place, Service
from tests.eventually import STALL_SECONDS, eventually

# What `python -m stack` does with signals, and a stack that stays until it is stopped.
_PARENT = """
import time
from stack.interrupts import stop_by_signals
from stack.local import LocalStack
stop_by_signals()
with LocalStack() as local:
    broker, ingest = local.start_broker(), local.start_ingest()
    print(local.folder, broker.pid, ingest.pid, flush=True)
    time.sleep(60)
"""


class Parent:
    """A process with a stack of its own."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            cwd=ROOMS,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.popen.stdout is not None
        with self.popen.stdout as lines:
            folder, *pids = lines.readline().split()
        self.folder = Path(folder)
        self.children = [int(pid) for pid in pids]

    def ended_children(self) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in self.children)


def _environment_of(process: Process) -> str:
    return Path(f"/proc/{process.pid}/environ").read_bytes().decode()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _place(local: LocalStack) -> Place:
    port = reserve_port().port
    environment = {"PATH": os.environ["PATH"]}
    return Place("part", environment, local.logs / "part.log", "127.0.0.1", port)


def test_everything_is_stopped_after_an_error_inside() -> None:
    local = LocalStack()
    started: list[Process] = []

    def fail_inside() -> None:
        with local:
            started.extend([local.start_broker(), local.start_ingest()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()

    assert len(started) == 2
    assert not any(process.is_running for process in started)
    assert not local.folder.exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_everything_is_stopped_by_a_signal_to_the_parent(sent: signal.Signals) -> None:
    parent = Parent()

    parent.popen.send_signal(sent)
    parent.popen.wait(30)

    assert parent.ended_children()
    assert not parent.folder.exists()


def test_everything_is_stopped_when_the_parent_is_killed() -> None:
    parent = Parent()

    parent.popen.kill()
    parent.popen.wait()

    eventually(parent.ended_children)
    # The next stack removes what the parent left, once it is old enough to be nobody's.
    os.utime(parent.folder / ".lock", (0, 0))
    LocalStack().close()
    assert not parent.folder.exists()


def test_the_parts_are_stopped_in_reverse_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    stop = Process.stop

    def noting(process: Process, grace_seconds: float) -> None:
        stopped.append(process.name)
        stop(process, grace_seconds)

    monkeypatch.setattr(Process, "stop", noting)
    with LocalStack() as local:
        local.start_broker()
        local.start_broker("second-broker")
        local.start_ingest()

    assert stopped == ["ingest-1", "second-broker", "broker"]


def test_a_further_interruption_while_stopping_ends_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graces: list[float] = []
    stop = Process.stop

    def interrupted_once(process: Process, grace_seconds: float) -> None:
        graces.append(grace_seconds)
        if len(graces) == 1:
            raise KeyboardInterrupt
        stop(process, grace_seconds)

    monkeypatch.setattr(Process, "stop", interrupted_once)
    with LocalStack(grace_seconds=5) as local:
        broker = local.start_broker()

    assert graces == [5, 0]
    assert not broker.is_running


def test_secrets_are_files_for_their_owner_only(local: LocalStack) -> None:
    local.start_broker()
    local.start_ingest()
    secrets = list((local.folder / "secrets").iterdir())

    assert {path.name for path in secrets} == {"fleet-key", "ingest", "api", "health"}
    assert {_mode(path) for path in secrets} == {0o600}
    assert _mode(local.folder / "secrets") == 0o700
    assert _mode(local.folder / "broker" / "passwords") == 0o600


def test_no_secret_stands_in_the_environment_or_the_arguments_of_a_part(local: LocalStack) -> None:
    broker = local.start_broker()
    parts = [broker, local.start_ingest()]
    secrets = [local.fleet_key, broker.password("ingest"), broker.password("api")]

    for part in parts:
        seen = _environment_of(part) + Path(f"/proc/{part.pid}/cmdline").read_text()
        assert not [secret for secret in secrets if secret in seen]


def test_each_run_has_secrets_of_its_own(local: LocalStack) -> None:
    with LocalStack() as other:
        assert other.fleet_key != local.fleet_key


def test_what_the_caller_has_in_the_environment_does_not_reach_the_parts(
    local: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_FLUSH_INTERVAL_MS", "wrong")
    local.start_broker()

    assert "INGEST_FLUSH_INTERVAL_MS" not in _environment_of(local.start_ingest())


def test_settings_given_for_a_part_reach_it(local: LocalStack) -> None:
    local.start_broker()
    ingest = local.start_ingest(settings={"INGEST_FLUSH_INTERVAL_MS": "77"})

    assert "INGEST_FLUSH_INTERVAL_MS=77" in _environment_of(ingest)


def test_a_wrong_setting_is_shown_as_the_part_says_it(local: LocalStack) -> None:
    local.start_broker()

    with pytest.raises(ProcessFailed, match=r"exit code 2(.|\n)*INGEST_FLUSH_INTERVAL_MS='soon'"):
        local.start_ingest(settings={"INGEST_FLUSH_INTERVAL_MS": "soon"})


def test_a_service_that_never_becomes_ready_is_shown_with_its_answer(local: LocalStack) -> None:
    place = _place(local)
    service = Service(["http.server", str(place.port)], place)

    with pytest.raises(ProcessFailed, match=r"/readyz says 404(.|\n)*GET /readyz"):
        service.start(ready_seconds=1 + STALL_SECONDS)
    service.kill()


def test_a_service_needs_a_broker_first(local: LocalStack) -> None:
    with pytest.raises(StackError, match="start a broker first"):
        local.start_api()


def test_a_part_that_died_is_noticed(local: LocalStack) -> None:
    broker = local.start_broker()
    local.check_running()

    broker.kill()

    with pytest.raises(ProcessFailed, match="broker ended with exit code -9"):
        local.check_running()


def test_several_ingests_run_side_by_side(local: LocalStack) -> None:
    local.start_broker()
    ingests = [local.start_ingest(f"ingest-{number}") for number in (1, 2)]

    assert [ingest.get("/readyz")[0] for ingest in ingests] == [200, 200]
    assert len({ingest.log_path for ingest in ingests}) == 2


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_broker_comes_back_at_its_port_with_its_devices(local: LocalStack, how: str) -> None:
    broker = local.start_broker()
    broker.admit(["a"])
    port, before = broker.port, broker.pid

    getattr(broker, how)()
    broker.wait(10)
    broker.start()

    assert (broker.port, broker.pid != before) == (port, True)
    assert broker.takes("a")


def test_ingest_finds_a_broker_that_came_back(local: LocalStack) -> None:
    broker = local.start_broker()
    ingest = local.start_ingest()

    broker.kill()
    eventually(lambda: ingest.get("/readyz")[0] == 503, deadline_seconds=20)
    broker.start()

    eventually(lambda: ingest.get("/readyz")[0] == 200, deadline_seconds=20)


def test_a_part_restarts_with_its_settings(local: LocalStack) -> None:
    local.start_broker()
    ingest = local.start_ingest()
    url, environment = ingest.url, _environment_of(ingest)

    ingest.restart()

    assert ingest.url == url
    assert _environment_of(ingest) == environment


def test_logs_can_be_kept(tmp_path: Path) -> None:
    with LocalStack(logs=tmp_path / "logs") as local:
        local.start_broker()

    assert "ingest" in (tmp_path / "logs" / "broker.log").read_text()


def test_a_broker_state_is_kept_over_a_stop(local: LocalStack) -> None:
    broker = local.start_broker()

    broker.restart()

    assert (broker.configuration.persistence_folder / "mosquitto.db").exists()
