"""What stands before InfluxDB notes each reading that was confirmed, and nothing else."""

import asyncio
import time

import pytest

from bench.confirmations import Confirmed, Proxy, Watched, message

WRITE = b"POST /api/v2/write?bucket=b HTTP/1.1\r\n"
STORED = b"HTTP/1.1 204 No Content\r\n\r\n"


async def noted(lines: bytes, *, answer: bytes = STORED, chunked: bool = False) -> Confirmed:
    request = WRITE + b"Content-Length: %d\r\n\r\n%b" % (len(lines), lines)
    if chunked:
        halves = lines[: len(lines) // 2], lines[len(lines) // 2 :]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(half), half) for half in halves)
        request = WRITE + b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks
    reader = asyncio.StreamReader()
    reader.feed_data(request)
    proxy = Proxy(Watched("127.0.0.1", 0))
    proxy.note(*await message(reader), answer)
    return proxy.confirmed()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("unit", [b"", b"000000"], ids=["ms", "ns"])
async def test_how_late_each_reading_was_is_told(unit: bytes, chunked: bool) -> None:
    due_ms = time.time_ns() // 1_000_000 - 50
    line = b"load,device=a x=1 %d%b\n" % (due_ms, unit)

    found = await noted(line * 3, chunked=chunked)

    assert found.readings == 3
    assert 50 <= found.percentile(50) <= found.percentile(99) < 5_000


async def test_what_was_not_stored_or_is_no_reading_is_not_counted() -> None:
    line = b"load,device=a x=1 1700000000000"

    assert (await noted(line, answer=b"HTTP/1.1 503 Busy\r\n\r\n")).readings == 0
    assert (await noted(b"denyut_ingest" + line[4:])).readings == 0


def test_a_percentile_is_the_latency_within_which_so_many_came() -> None:
    found = Confirmed(0.0, 100, {10: 98, 500: 2})

    assert (found.percentile(50), found.percentile(98), found.percentile(99)) == (10, 10, 500)
