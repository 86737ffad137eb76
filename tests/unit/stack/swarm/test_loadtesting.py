"""What a load test of the stack is told by the one who asks for it."""

from stack.swarm.loadtesting import told


def test_it_is_told_what_its_caller_says_and_no_more() -> None:
    environment = {"LOADTEST_READERS": "200", "HOME": "/root", "SENSORS_SLOT": "3"}

    assert list(told(1, environment, [])) == [
        "--env-add", "LOADTEST_READERS=200", "--env-add", "LOADTEST_TASKS=1",
    ]  # fmt: skip


def test_no_secret_and_nothing_of_the_stack_files_own_is_told_by_a_variable() -> None:
    environment = {
        "LOADTEST_API_KEY": "dnyt_secret",
        "LOADTEST_FLEET_KEY": "secret",
        "LOADTEST_TARGET": "http://elsewhere",
        "LOADTEST_SLOT": "7",
    }

    assert list(told(2, environment, [])) == ["--env-add", "LOADTEST_TASKS=2"]


def test_what_an_earlier_run_was_told_is_forgotten() -> None:
    before = ["LOADTEST_READERS=200", "LOADTEST_TARGET=https://front:8443", "LOADTEST_TASKS=3"]

    assert list(told(1, {}, before)) == [
        "--env-rm", "LOADTEST_READERS", "--env-add", "LOADTEST_TASKS=1",
    ]  # fmt: skip
