"""Readings over HTTP: durable before they are answered, each bad one named, in every format."""

import asyncio
import gzip
from pathlib import Path

import msgspec
import pytest

from ingest.sources.http.opening import open_http_source
from telemetry.keys import file as key_file
from telemetry.settings import SettingError
from tests.eventually import eventually_async
from tests.ingest_parts import Parts
from tests.integration.ingest.intake_over_http import NDJSON, NOW_MS, OWN, pack, reading, taking

SENML = [
    {"bn": "urn:dev:1:", "bt": NOW_MS / 1000, "n": "a", "v": 1},
    {"n": "b", "v": 2},
]
SENML_XML = (
    '<sensml xmlns="urn:ietf:params:xml:ns:senml">'
    f'<senml bn="urn:dev:1:" bt="{NOW_MS / 1000}" n="a" v="1"/><senml n="b" v="2"/></sensml>'
)


async def test_readings_of_every_format_are_stored_and_answered_with_204(tmp_path: Path) -> None:
    one = msgspec.json.encode({**OWN, **reading(0)})
    line = b"weather,site=hall,device=node-1 a=1,seq=%di %d000000\n"
    async with taking(tmp_path) as intake:
        for body, kind in (
            (one, "application/json"),
            (msgspec.json.encode([{**OWN, **reading(1)}, {**OWN, **reading(2)}]), None),
            (pack(3, 4), "application/vnd.denyut.reading+json"),
            (pack(5) + b"\r\n\n" + pack(6, 7), NDJSON),
            (line % (8, NOW_MS + 8) + line % (9, NOW_MS + 9), "text/plain; charset=utf-8"),
            (line % (10, NOW_MS + 10), "text/vnd.influxdb.line-protocol"),
            (gzip.compress(pack(11)), "application/json"),
        ):
            coding = {"Content_Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
            answer = await intake.send(body, kind, **coding)
            assert (answer.status, answer.body) == (204, None)
            assert answer.headers["Server"] == "denyut"
        assert intake.seqs() == list(range(12))
        assert intake.parts.tally.messages_by_way["http"] == 8
        assert intake.parts.tally.acknowledged_messages == 8


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (msgspec.json.encode(SENML), "application/senml+json"),
        (SENML_XML.encode(), "application/senml+xml"),
        (msgspec.json.encode(SENML), None),
        (b'{"ts": %d, "a": 1, "b": 2}' % NOW_MS, "application/json"),
    ],
    ids=["senml", "senml-xml", "senml unnamed", "flat"],
)
async def test_the_query_says_where_a_payload_without_an_address_is_from(
    tmp_path: Path, body: bytes, kind: str | None
) -> None:
    async with taking(tmp_path) as intake:
        answer = await intake.send(body, kind, query=OWN)

        assert answer.status == 204
        (stored,) = intake.stored()
        assert (stored.site, stored.device, stored.measurement) == tuple(OWN.values())
        assert (stored.time_ms, stored.values) == (NOW_MS, {"a": 1.0, "b": 2.0})


async def test_no_answer_leaves_while_the_store_is_silent(tmp_path: Path) -> None:
    async with taking(tmp_path, spool_after_ms=60_000) as intake:
        intake.parts.store.answers.clear()
        asked = asyncio.create_task(intake.send(pack(0, 1)))
        await eventually_async(lambda: intake.parts.tally.in_flight == 2)
        # Many flush intervals pass, each of which would have answered.
        await asyncio.sleep(0.3)
        assert not asked.done()

        intake.parts.store.answers.set()

        assert (await asked).status == 204
        assert intake.seqs() == [0, 1]


async def test_what_was_quarantined_is_named_and_the_rest_is_stored(tmp_path: Path) -> None:
    readings = [reading(0), reading(1, values={"a b": 1}), reading(2, ts=5), reading(3)]
    async with taking(tmp_path) as intake:
        answer = await intake.send(msgspec.json.encode({**OWN, "readings": readings}))

        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.body["stored"] == 2
        assert [one["index"] for one in answer.body["quarantined"]] == [1, 2]
        assert answer.body["quarantined"][1]["reason"] == "time 5 ms is out of range"
        assert intake.seqs() == [0, 3]
        assert len(list(intake.parts.quarantine.records())) == 2


async def test_of_lines_the_bad_ones_are_named_by_line_and_index(tmp_path: Path) -> None:
    body = b"\n".join([pack(0), b"\xff noise", pack(1, 2).replace(b'"seq":2', b'"seq":-2'), b"{}"])
    async with taking(tmp_path) as intake:
        answer = await intake.send(body, NDJSON)

        assert answer.status == 200
        assert answer.body["stored"] == 2
        named = [(one["line"], one.get("index")) for one in answer.body["quarantined"]]
        assert named == [(2, None), (3, 1), (4, None)]


async def test_line_protocol_longer_than_a_payload_is_cut_between_points(tmp_path: Path) -> None:
    points = [
        f'weather,site=hall,device=node-1 note="a\\"\nb",seq={seq}i {NOW_MS + seq}000000'
        for seq in range(50)
    ]
    points[30] = points[30].replace("site=hall,", "")
    async with taking(tmp_path, payload_bytes=1_000) as intake:
        answer = await intake.send("\n".join(points).encode(), "text/plain")

        assert answer.status == 200
        assert answer.body["stored"] == 49
        assert answer.body["quarantined"] == [{"index": 30, "reason": "names no site"}]
        assert intake.stored()[0].values == {"note": 'a"\nb'}


async def test_thousands_of_bad_readings_are_counted_where_they_are_not_named(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as intake:
        answer = await intake.send(b"[" + b"1," * 1_999 + b"1]")

        assert answer.status == 200
        assert answer.body["stored"] == 0
        assert len(answer.body["quarantined"]) == 500
        assert answer.body["unnamed"] == 1_500


async def test_a_key_writes_for_its_own_devices_alone(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        answer = await intake.send(b"\n".join([pack(0), pack(1, device="other-1")]), NDJSON)

        assert answer.body["stored"] == 1
        (named,) = answer.body["quarantined"]
        assert named["reason"] == "the sender may not write for device other-1"
        everything = intake.new_key("write")
        answer = await intake.send(pack(2, device="other-1"), key=everything)
        assert answer.status == 204


async def test_a_key_that_is_revoked_opens_nothing_any_more_a_second_later(tmp_path: Path) -> None:
    async with taking(tmp_path) as intake:
        assert (await intake.send(pack(0))).status == 204
        (entry,) = key_file.load(intake.keys)
        key_file.remove(intake.keys, entry.id)

        for _try in range(500):
            if (await intake.send(pack(0))).status == 401:
                break
            await asyncio.sleep(0.02)
        assert (await intake.send(pack(1))).status == 401
        assert intake.seqs() == [0]


async def test_where_nothing_becomes_durable_the_sender_is_told_to_send_again(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path, spool_after_ms=60_000, intake_durable_seconds=0.2) as intake:
        intake.parts.store.answers.clear()
        refused = await intake.send(pack(0))
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0

        intake.parts.store.answers.set()
        assert (await intake.send(pack(0))).status == 204
        assert intake.seqs() == [0]


async def test_without_room_the_sender_is_told_to_send_again(tmp_path: Path) -> None:
    async with taking(
        tmp_path, spool_after_ms=60_000, intake_durable_seconds=0.2, held_readings=100
    ) as intake:
        intake.parts.store.answers.clear()
        await intake.send(pack(*range(100)))
        assert not intake.parts.intake.has_room()

        refused = await intake.send(pack(100))

        assert (refused.status, refused.body["detail"]) == (
            503,
            "There is no room for readings now.",
        )
        assert intake.parts.tally.in_flight == 100
        intake.parts.store.answers.set()


async def test_what_was_taken_before_a_stop_is_answered_and_nothing_after(tmp_path: Path) -> None:
    async with (
        taking(tmp_path, flush_interval_ms=60_000) as intake,
        intake.connection() as (idle, _),
        intake.connection() as (reader, writer),
    ):
        assert (await intake.send(pack(5))).status == 204  # the first batch waits for nobody
        asked = [asyncio.create_task(intake.send(pack(seq))) for seq in range(5)]
        await eventually_async(lambda: intake.parts.tally.in_flight == 5)
        writer.write(intake.head("Content-Length: 1000") + b"{")
        await eventually_async(lambda: intake.source.requests == 6)

        await intake.stop()

        assert [(await one).status for one in asked] == [204] * 5
        assert await idle.read() == b""
        assert (await reader.read()).startswith(b"HTTP/1.1 503")
        with pytest.raises(ConnectionRefusedError):
            async with intake.connection():
                pass
        assert intake.seqs() == list(range(6))


async def test_a_sender_that_waits_to_be_asked_is_asked(tmp_path: Path) -> None:
    body = pack(0)
    head = f"Content-Length: {len(body)}"
    async with taking(tmp_path) as intake, intake.connection() as (reader, writer):
        writer.write(intake.head(head, "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        # The connection stays for the next one.
        writer.write(intake.head(head) + body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


def test_without_keys_nothing_listens(tmp_path: Path) -> None:
    parts = Parts(tmp_path, intake_listen="127.0.0.1:0")

    with pytest.raises(SettingError, match="INGEST_KEYS_FILE is not set"):
        open_http_source(parts.settings, parts.intake, parts.tally)
