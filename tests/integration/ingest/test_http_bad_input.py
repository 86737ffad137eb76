"""What no sender should send over HTTP: refused in one shape, bounded, and others go on."""

import asyncio
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.certificates import Authority
from telemetry.problem import CONTENT_TYPE
from tests.certificates import write_authority, write_issued
from tests.eventually import eventually_async
from tests.integration.ingest.intake_over_http import (
    NDJSON,
    OWN,
    Answered,
    Intake,
    pack,
    reading,
    taking,
)

MIB = 1_048_576


def assert_problem(answer: Answered, status: int, name: str = "") -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (status, CONTENT_TYPE)
    assert answer.body["status"] == status
    assert answer.body["type"] == (f"urn:denyut:problem:{name}" if name else "about:blank")
    assert answer.body["title"]
    assert answer.body["detail"]
    assert answer.headers["Server"] == "denyut"


@pytest.mark.parametrize(
    ("request_", "status", "name"),
    [
        ({"path": "/"}, 404, ""),
        ({"path": "/v1/readings/"}, 404, ""),
        ({"method": "GET"}, 405, ""),
        ({"method": "DELETE"}, 405, ""),
        ({"key": "none"}, 401, "key-wanted"),
        ({"key": f"dnyt_abc_{'0' * 64}"}, 401, "key-wanted"),
        ({"content_type": "image/png"}, 415, "unknown-content-type"),
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "unknown-content-type"),
        ({"content_type": "application/json; charset=latin-1"}, 415, "unknown-content-type"),
        ({"Content_Encoding": "br"}, 415, "unknown-content-encoding"),
        ({"Content_Encoding": "gzip, gzip"}, 415, "unknown-content-encoding"),
        ({"Content_Encoding": "gzip"}, 400, "bad-body"),
        ({"Content_Encoding": "gzip", "body": gzip.compress(pack(0))[:-9]}, 400, "bad-body"),
        ({"Content_Encoding": "gzip", "body": gzip.compress(pack(0)) * 2}, 400, "bad-body"),
        ({"body": b""}, 400, "bad-body"),
        ({"body": b" \n\n"}, 400, "bad-body"),
        ({"body": b"\n" * 2_000 + pack(0), "content_type": NDJSON}, 400, "bad-body"),
        ({"query": {"device": "node-1"}}, 400, "bad-parameter"),
        ({"query": {**OWN, "colour": "red"}}, 400, "bad-parameter"),
        ({"query": {**OWN, "site": "a/b"}}, 400, "bad-parameter"),
        ({"query": "site=a&site=b&device=node-1&measurement=m"}, 400, "bad-parameter"),
        ({"query": {**OWN, "device": "other-1"}}, 403, "not-allowed"),
        ({"body": b"x" * 1_000_001}, 413, "too-large"),
        ({"body": b"{" + b" " * 70_000}, 413, "too-large"),
        ({"body": b"x" * 70_000}, 413, "too-large"),
        ({"body": pack(0) + b"\n" + b"x" * 70_000, "content_type": NDJSON}, 413, "too-large"),
        ({"body": gzip.compress(b"[" * 2_000_000), "Content_Encoding": "gzip"}, 413, "too-large"),
        ({"body": b"x\n" * 20_001, "content_type": NDJSON}, 413, "too-large"),
    ],
)
async def test_what_is_not_taken_is_a_problem_that_says_why(
    tmp_path: Path, request_: dict[str, Any], status: int, name: str
) -> None:
    async with taking(tmp_path) as intake:
        assert_problem(await intake.send(**{"body": pack(0), **request_}), status, name)

        # Whoever sends well is not affected, and what was refused left nothing.
        assert (await intake.send(pack(1))).status == 204
        assert intake.seqs() == [1]
        assert intake.parts.tally.http.responses == {status: 1, 204: 1}


async def test_who_brings_no_key_or_one_for_reading_is_told_so(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        without = await intake.send(pack(0), key="", Authorization="Basic Zm9vOmJhcg==")
        assert_problem(without, 401, "key-wanted")
        assert without.headers["WWW-Authenticate"] == 'Bearer realm="denyut"'
        reads = await intake.send(pack(0), key=intake.new_key("read", "command", "admin"))
        assert_problem(reads, 403, "not-allowed")
        assert 'scope="write"' in reads.headers["WWW-Authenticate"]
        other = await intake.send(pack(0), key="x", X_API_Key=intake.key, Authorization="")
        assert other.status == 204


async def test_a_405_names_what_is_allowed_and_a_415_what_is_read(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        assert (await intake.send(b"", method="PUT")).headers["Allow"] == "POST"
        named = (await intake.send(b"x", "image/png")).headers["Accept"]
        assert "application/senml+xml" in named
        coded = await intake.send(b"x", Content_Encoding="br")
        assert coded.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/readings HTTP/1.1\r\nno header\r\n\r\n",
        b"POST /v1/readings HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/readings HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /" + b"x" * 3_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 3_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n" + b"X: x\r\n" * 60 + b"\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_too_and_the_end(tmp_path: Path, sent: bytes) -> None:
    async with taking(tmp_path) as intake, intake.connection() as (reader, writer):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")

        assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        assert f"Content-Type: {CONTENT_TYPE}".encode() in head
        assert msgspec.json.decode(body)["status"] == 400


async def test_a_gigabyte_promised_by_a_header_is_refused_before_it_comes(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake, intake.connection() as (reader, writer):
        writer.write(intake.head("Content-Length: 1000000000", "Expect: 100-continue"))

        assert (await reader.read()).startswith(b"HTTP/1.1 413")


async def test_an_endless_body_is_refused_where_it_is_too_much_and_memory_stays_bounded(
    tmp_path: Path,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async with taking(tmp_path) as intake:
        tracemalloc.start()
        try:
            answers = await asyncio.gather(
                *(intake.send(endless()) for _ in range(8)), return_exceptions=True
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        # A sender that goes on sending may be cut before it reads.
        assert {one.status for one in answers if isinstance(one, Answered)} <= {413}
        await eventually_async(lambda: intake.parts.tally.http.responses[413] == 8)
        assert peak < 40 * MIB


async def test_an_encoding_in_a_second_header_counts_as_well(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        for first, second in (("gzip", "gzip"), ("identity", "gzip")):
            async with intake.connection() as (reader, writer):
                twice = (f"Content-Encoding: {first}", f"Content-Encoding: {second}")
                body = gzip.compress(pack(0))
                writer.write(intake.head(*twice, f"Content-Length: {len(body)}") + body)
                assert (await reader.read()).startswith(b"HTTP/1.1 415")
        assert intake.seqs() == []


async def test_bodies_of_many_lines_are_taken_as_there_is_room_and_others_have_their_turn(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path, held_readings=1_000, batch_readings=500) as intake:
        sent = [
            asyncio.create_task(intake.send(b"x\n" * 5_000, NDJSON, query=OWN)) for _ in range(4)
        ]
        tally, most_held, longest = intake.parts.tally, 0, 0
        while not all(one.done() for one in sent):
            before = tally.messages
            await asyncio.sleep(0)
            longest = max(longest, tally.messages - before)
            most_held = max(most_held, tally.in_flight)

        assert [one.result().status for one in sent] == [200] * 4
        assert most_held <= 1_000
        assert longest <= 100


async def test_a_bomb_is_noticed_before_it_is_inflated(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 50 * MIB)
    async with taking(tmp_path) as intake:
        tracemalloc.start()
        try:
            answer = await intake.send(bomb, Content_Encoding="gzip")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert_problem(answer, 413, "too-large")
        assert peak < 10 * MIB


async def test_an_xml_bomb_goes_to_quarantine_as_it_came(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = (
        f'<!DOCTYPE x [<!ENTITY e0 "{"a" * 1_000}">{entities}]>'
        '<sensml xmlns="urn:ietf:params:xml:ns:senml"><senml n="a" vs="&e9;"/></sensml>'
    ).encode()
    async with taking(tmp_path) as intake:
        tracemalloc.start()
        try:
            answer = await intake.send(bomb, content_type="application/senml+xml", query=OWN)
            assert tracemalloc.get_traced_memory()[1] < 2 * MIB
        finally:
            tracemalloc.stop()

        assert (answer.status, answer.body["stored"]) == (200, 0)
        (record,) = intake.parts.quarantine.records()
        assert (record.payload, "document type" in record.reason) == (bomb, True)
        assert (await intake.send(pack(0))).status == 204


async def test_a_body_that_trickles_in_is_given_up(tmp_path: Path) -> None:
    async with (
        taking(tmp_path, intake_body_seconds=0.3) as intake,
        intake.connection() as (reader, writer),
    ):
        writer.write(intake.head("Content-Length: 1000"))
        # Not to its end: what is written into a closed connection may reset it.
        heard = asyncio.create_task(reader.readline())
        while not heard.done():
            writer.write(b" ")
            await asyncio.sleep(0.02)

        assert heard.result().startswith(b"HTTP/1.1 408")


async def test_heads_that_trickle_in_are_given_up(tmp_path: Path) -> None:
    async with (
        taking(tmp_path, intake_idle_seconds=1.0) as intake,
        intake.connection() as (reader, writer),
    ):
        writer.write(b"POST /v1/readings HTTP/1.1\r\nX: ")
        heard = asyncio.create_task(reader.read())
        while not heard.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)

        # What is written into a closed connection may reset it.
        assert isinstance(heard.exception(), ConnectionResetError) or heard.result() == b""


async def test_connections_that_ask_nothing_do_not_keep_others_out(tmp_path: Path) -> None:
    async with taking(tmp_path, intake_connections=10) as intake:
        silent = [await asyncio.open_connection(intake.host, intake.port) for _ in range(30)]
        await eventually_async(lambda: intake.parts.tally.sockets.ended["http", "busy"] == 20)

        assert (await intake.send(pack(0))).status == 204

        assert intake.parts.tally.sockets.connections["http"] <= 10
        for _, writer in silent:
            writer.close()


async def test_requests_beyond_what_is_handled_at_once_get_429(tmp_path: Path) -> None:
    async with taking(tmp_path, intake_requests=3, flush_interval_ms=60_000) as intake:
        await intake.send(pack(9))  # the first batch after a start waits for nothing
        taken = [asyncio.create_task(intake.send(pack(seq))) for seq in range(3)]
        await eventually_async(lambda: intake.parts.tally.in_flight == 3)

        refused = await intake.send(pack(3))

        assert_problem(refused, 429, "too-many-requests")
        assert int(refused.headers["Retry-After"]) > 0
        await intake.parts.pipeline.drain()
        assert [(await one).status for one in taken] == [204] * 3


async def test_bodies_beyond_what_is_held_at_once_get_429(tmp_path: Path) -> None:
    async with (
        taking(tmp_path, held_bytes=1_000_000, intake_body_bytes=1_000_000) as intake,
        intake.connection() as (_, writer),
    ):
        writer.write(intake.head("Content-Length: 950000") + b" " * 900_000)
        await eventually_async(lambda: intake.source.held_bytes == 900_000)

        body = b"\n".join(msgspec.json.encode({**OWN, **reading(n)}) for n in range(1_500))
        assert_problem(await intake.send(body, NDJSON), 429, "too-many-requests")

        writer.close()
        await eventually_async(lambda: intake.source.held_bytes == 0)
        assert (await intake.send(body, NDJSON)).status == 204


async def test_a_sender_that_goes_away_leaves_nothing_held(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        async with intake.connection() as (_, writer):
            writer.write(intake.head("Content-Length: 1000") + b"{")
            await eventually_async(lambda: intake.source.held_bytes == 1)

        await eventually_async(lambda: (intake.source.held_bytes, intake.source.requests) == (0, 0))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority.make("test")
    certificate, key = write_issued(folder, authority.issue_server(["127.0.0.1"]))
    return {
        "ca": str(write_authority(folder, authority)),
        "intake_certificate_file": str(certificate),
        "intake_key_file": str(key),
    }


async def test_over_tls_readings_are_taken_and_plaintext_is_not(
    tmp_path: Path, certificates: Mapping[str, str]
) -> None:
    files = {name: path for name, path in certificates.items() if name != "ca"}
    trusting = ssl.create_default_context(cafile=certificates["ca"])
    body = pack(0)
    async with taking(tmp_path, **files) as intake:
        async with intake.connection(trusting) as (reader, writer):
            writer.write(intake.head(f"Content-Length: {len(body)}") + body)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204")
        async with intake.connection() as (reader, writer):
            writer.write(intake.head(f"Content-Length: {len(body)}") + body)
            assert b"HTTP/1.1" not in await reader.read()
        assert intake.seqs() == [0]


async def test_who_connects_and_speaks_no_tls_keeps_nobody_out(
    tmp_path: Path, certificates: Mapping[str, str]
) -> None:
    files = {name: path for name, path in certificates.items() if name != "ca"}
    trusting = ssl.create_default_context(cafile=certificates["ca"])
    body = pack(0)
    async with taking(tmp_path, **files, intake_connections=10) as intake:
        silent = [await asyncio.open_connection(intake.host, intake.port) for _ in range(30)]
        ended = intake.parts.tally.sockets.ended
        await eventually_async(lambda: ended["http", "busy"] == 20)

        async with intake.connection(trusting) as (reader, writer):
            writer.write(intake.head(f"Content-Length: {len(body)}") + body)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204")

        for reader, writer in silent[:20]:
            assert await reader.read() == b""
            writer.close()
        for _, writer in silent[20:]:
            writer.close()


async def test_a_noisy_sender_does_not_slow_a_good_one(tmp_path: Path) -> None:
    async def noise(intake: Intake) -> None:
        while True:
            await intake.send(b"\xff" * 60_000, NDJSON)

    async with taking(tmp_path) as intake:
        noisy = [asyncio.create_task(noise(intake)) for _ in range(4)]
        for seq in range(20):
            assert (await intake.send(pack(seq))).status == 204
        for one in noisy:
            one.cancel()
        await asyncio.gather(*noisy, return_exceptions=True)
        assert intake.seqs() == list(range(20))
