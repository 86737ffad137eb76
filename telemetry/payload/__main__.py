"""`denyut-decode`: what a payload becomes, to try a device or a template before it is used."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from telemetry.payload import Decoded, PayloadError, decode
from telemetry.reading import Reading
from telemetry.topics import READINGS, TopicError, TopicRouter, parse_templates

_REFUSED = 1
_UNREADABLE = 2
_MS_PER_SECOND = 1000

application = typer.Typer(add_completion=False)


@application.command()
def run(
    file: Annotated[
        Path | None, typer.Argument(help="the file that holds the payload; else standard input")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="the topic it comes on; else it names its own address")
    ] = None,
    topics: Annotated[
        str, typer.Option(envvar="INGEST_TOPICS", help="topic templates, as the setting has them")
    ] = READINGS,
    content_type: Annotated[str | None, typer.Option(help="as MQTT 5 or HTTP names it")] = None,
) -> None:
    """Print the readings of a payload as native JSON, a line each, and what of it is refused.

    Nothing is connected to or stored. The exit code is 1 where a part of it is refused, 2 where
    nothing of it can be read.
    """
    try:
        payload = sys.stdin.buffer.read() if file is None else file.read_bytes()
        decoded = _decoded(payload, topic, topics, content_type)
    except (OSError, PayloadError, TopicError) as error:
        print(f"denyut-decode: {error}", file=sys.stderr)
        raise typer.Exit(_UNREADABLE) from error
    for reading in decoded.readings:
        print(msgspec.json.encode(dict(_members(reading))).decode(), flush=True)
    for rejected in decoded.rejected:
        print(f"refused {rejected.index}: {rejected.reason}", file=sys.stderr)
    if decoded.left_out:
        print(f"left out: {decoded.left_out} nulls or arrays", file=sys.stderr)
    raise typer.Exit(_REFUSED if decoded.rejected else 0)


def _decoded(payload: bytes, topic: str | None, topics: str, content_type: str | None) -> Decoded:
    now_ms = round(time.time() * _MS_PER_SECOND)
    if topic is None:
        return decode(payload, None, arrival_ms=now_ms, content_type=content_type)
    route = TopicRouter(parse_templates(topics)).route(topic)
    return decode(
        payload,
        route.address,
        arrival_ms=now_ms,
        content_type=content_type,
        template_format=route.format,
        field=route.field,
    )


def _members(reading: Reading) -> Iterator[tuple[str, Any]]:
    yield "site", reading.site
    yield "device", reading.device
    yield "measurement", reading.measurement
    yield "ts", reading.time_ms
    yield "values", reading.values
    if reading.boot_ms is not None:
        yield "boot", reading.boot_ms
    if reading.seq is not None:
        yield "seq", reading.seq


def main() -> None:
    application()


if __name__ == "__main__":
    main()
