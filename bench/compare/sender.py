"""Sends the corpus by one way: `python -m bench.compare.sender`.

It is told by one JSON object on standard input (`Task`), says `ready` once it is connected and,
where it sends as fast as it goes, all is encoded; begins at a line from standard input, and ends
with a `Sent` on standard output.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec
import uvloop
from msgspec import Struct

from bench.compare.carrying import Carrying
from bench.compare.corpus import DEVICES, Corpus, Parcel, device_name
from bench.compare.lanes import DatagramLane, Lane
from bench.compare.ways import Way, open_lanes, writing
from bench.compare.wire import tcp_bytes, written_bytes

_TICK_SECONDS = 0.002
_LOOK_SECONDS = 0.1
_CLOSE_SECONDS = 5.0


class Task(Struct, frozen=True, kw_only=True):
    """What to send: so many readings of each device, in packs, at a rate or as fast as it goes.

    Nothing new is sent after `seconds`; what is on its way then has `grace_seconds` to be safe.
    `alone`: where the way can, each payload travels by itself.
    """

    way: Way
    boot_ms: int
    seconds: float
    readings: int = 0
    pack: int = 1
    alone: bool = False
    readings_per_second: float = 0.0
    grace_seconds: float = 20.0


class Sent(Struct, frozen=True, kw_only=True):
    """What became of it: how many readings of each device, from number 0, and which are not safe.

    `unsafe` are device, first number and count. `late_ms_p99` is how late a reading left the clock
    of a steady rate.
    """

    offered: dict[str, int]
    unsafe: list[tuple[str, int, int]]
    seconds: float
    cpu_seconds: float
    wire_bytes: int
    late_ms_p99: float
    reopened: int

    @property
    def readings(self) -> int:
        """How many readings of all devices."""
        return sum(self.offered.values())


async def send(task: Task) -> Sent:
    """Open all lanes, wait for the word, send, and wait until all of it is safe."""
    corpus = Corpus(writing(task.way), task.boot_ms)
    supply = [] if task.readings_per_second else list(_beforehand(task, corpus))
    lanes = await open_lanes(task.way, alone=task.alone)
    carrying = [Carrying(lane, _share(supply, n, len(lanes))) for n, lane in enumerate(lanes)]
    del supply
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began_s, began_cpu_s, began_bytes = time.monotonic(), time.process_time(), _bytes(lanes)
    running = [asyncio.ensure_future(one.run()) for one in carrying]
    late_ms = await _feed(task, corpus, carrying)
    for one in carrying:
        one.complete()
    done, _late = await asyncio.wait(running, timeout=task.grace_seconds)
    for ended in done:
        ended.result()
    seconds, cpu_seconds = time.monotonic() - began_s, time.process_time() - began_cpu_s
    wire_bytes = await _bytes_in_the_end(lanes) - began_bytes
    offered, unsafe = _outcome(carrying)
    await _close(lanes)
    return Sent(
        offered=offered,
        unsafe=unsafe,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        wire_bytes=wire_bytes,
        late_ms_p99=sorted(late_ms)[len(late_ms) * 99 // 100] if late_ms else 0.0,
        reopened=sum(one.reopened for one in carrying),
    )


def _beforehand(task: Task, corpus: Corpus) -> Iterator[Parcel]:
    return corpus.beforehand(DEVICES, task.readings // DEVICES, task.pack)


def _share(parcels: Sequence[Parcel], lane: int, lanes: int) -> list[Parcel]:
    """Return what goes by one lane, which is all of its device where each has one."""
    return list(parcels[lane::lanes])


async def _feed(task: Task, corpus: Corpus, carrying: list[Carrying]) -> list[float]:
    """Send for as long as it shall be; return how late each tick's oldest reading was, in ms."""
    if task.readings_per_second:
        return await _by_the_clock(task, corpus, carrying)
    supplied = [asyncio.ensure_future(one.until_supplied()) for one in carrying]
    _done, late = await asyncio.wait(supplied, timeout=task.seconds)
    for one in late:
        one.cancel()
    return []


async def _by_the_clock(task: Task, corpus: Corpus, carrying: list[Carrying]) -> list[float]:
    """Let each reading be sent when it is due, one a payload, stamped with that moment."""
    late_ms, made, began_s, began_ms = [], 0, time.monotonic(), time.time() * 1_000
    total = int(task.seconds * task.readings_per_second)
    while made < total:
        passed_s = time.monotonic() - began_s
        due = min(total, int(passed_s * task.readings_per_second))
        if due > made:
            late_ms.append((passed_s - (made + 1) / task.readings_per_second) * 1_000)
        for number in range(made, due):
            device, seq = number % DEVICES, number // DEVICES
            time_ms = int(began_ms + (number + 1) / task.readings_per_second * 1_000)
            parcel = corpus.parcel(device, seq, 1, time_ms, seq)
            carrying[number % len(carrying)].add([parcel])
        made = due
        await asyncio.sleep(_TICK_SECONDS)
    return late_ms


def _outcome(carrying: list[Carrying]) -> tuple[dict[str, int], list[tuple[str, int, int]]]:
    unsafe = [parcel for one in carrying for parcel in one.unfinished]
    offered = dict.fromkeys(map(device_name, range(DEVICES)), 0)
    for parcel in [*(parcel for one in carrying for parcel in one.settled), *unsafe]:
        offered[device_name(parcel.device)] += parcel.count
    return offered, [(device_name(one.device), one.first, one.count) for one in unsafe]


def _bytes(lanes: list[Lane]) -> int:
    """Return what has passed the sender's sockets both ways, or was written where there is none."""
    datagrams = [lane.payload_bytes for lane in lanes if isinstance(lane, DatagramLane)]
    if datagrams:
        return sum(datagrams)
    return tcp_bytes() or written_bytes()


async def _close(lanes: list[Lane]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await asyncio.gather(*(lane.close() for lane in lanes))


async def _bytes_in_the_end(lanes: list[Lane]) -> int:
    """Return it once nothing is left in the buffers of what nobody answers."""
    before, after = -1, _bytes(lanes)
    while before != after:
        await asyncio.sleep(_LOOK_SECONDS)
        before, after = after, _bytes(lanes)
    return after


def main() -> None:
    """Do what standard input asks for."""
    task = msgspec.json.decode(sys.stdin.readline(), type=Task)
    print(msgspec.json.encode(uvloop.run(send(task))).decode(), flush=True)


if __name__ == "__main__":
    main()
