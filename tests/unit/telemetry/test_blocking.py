"""Blocking calls beside an event loop: one after another, and never what a process ends for."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from telemetry.blocking import DaemonThread, in_daemon_thread

ENDS_MEANWHILE = """
import asyncio, time
from telemetry.blocking import DaemonThread

async def main():
    thread = DaemonThread("test")
    call = thread.call(lambda: time.sleep(600))
    await asyncio.sleep(0)
    call.cancel()
    thread.close()

asyncio.run(main())
"""


async def test_calls_are_made_one_after_another_in_one_thread() -> None:
    thread, at_once, most, names = DaemonThread("one"), 0, 0, set()

    def call(number: int) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        names.add(threading.current_thread().name)
        time.sleep(0.001)
        at_once -= 1
        return number

    answers = await asyncio.gather(*(thread.call(lambda n=n: call(n)) for n in range(20)))  # type: ignore[misc]

    assert answers == list(range(20))
    assert (most, names) == (1, {"one"})
    thread.close()


@pytest.mark.parametrize("in_thread", [in_daemon_thread, DaemonThread("raising").call])
async def test_what_a_call_raises_is_raised_where_it_is_awaited(in_thread) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_a_call_that_is_cancelled_before_its_turn_is_not_made() -> None:
    thread, begun, go_on, made = DaemonThread("test"), threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        go_on.wait(10)

    held = thread.call(first)
    cancelled = thread.call(lambda: made.append("cancelled"))
    last = thread.call(lambda: made.append("last"))
    await asyncio.to_thread(begun.wait, 10)
    cancelled.cancel()
    go_on.set()
    await asyncio.gather(held, last)

    assert made == ["last"]
    thread.close()


def test_a_call_that_does_not_end_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS_MEANWHILE], timeout=20, check=False)
    assert ended.returncode == 0
