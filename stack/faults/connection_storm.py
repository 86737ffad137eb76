"""Very many clients that connect within seconds and stay."""

import asyncio
import resource
import time
from contextlib import suppress

from msgspec import Struct

from stack.broker import Broker
from stack.faults import packets

_ANSWER_SECONDS = 20.0


class Came(Struct):
    """What became of a storm: how many were answered, how many of these accepted."""

    answered: int = 0
    accepted: int = 0
    seconds: float = 0.0


def storm(broker: Broker, names: list[str], seconds: float) -> Came:
    """Connect each of these users, evenly spread over some seconds; return when all have left."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    return asyncio.run(_storm(broker, names, seconds))


async def _storm(broker: Broker, names: list[str], seconds: float) -> Came:
    came, began = Came(), time.monotonic()
    tasks: list[asyncio.Task[asyncio.StreamWriter | None]] = []
    for number, name in enumerate(names):
        due = began + number * seconds / len(names)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(_connect(broker, name, came)))
    came.seconds = time.monotonic() - began
    done, silent = await asyncio.wait(tasks, timeout=_ANSWER_SECONDS)
    for task in silent:
        task.cancel()
    for task in done:
        if (writer := task.result()) is not None:
            writer.close()
    return came


async def _connect(broker: Broker, name: str, came: Came) -> asyncio.StreamWriter | None:
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.write(packets.connect(name, name, broker.password(name)))
        head = await reader.readexactly(2)
        answer = head + await reader.readexactly(head[1])
        came.answered += 1
        came.accepted += packets.reason_of(answer) == packets.SUCCESS
        return writer
    return None
