"""`python -m ingest members`: who is in the group, as the retained statuses at the broker tell."""

import asyncio
import secrets
from typing import Annotated

import gmqtt
import msgspec
import typer
from msgspec import Struct

from ingest.commands import load_settings, run_or_fail
from ingest.settings import IngestSettings
from ingest.sources.mqtt.members import STATUSES, MemberStatus
from telemetry import tls

_STORED, _RETAINED = "$SYS/broker/store/messages/count", "$SYS/broker/retained messages/count"
_QUIET_SECONDS = 0.5
_SUCCESS = 0


class Listed(Struct, frozen=True):
    """A member, and whether it is online."""

    client_id: str
    state: str
    group: str


class Listing(Struct, frozen=True):
    """All members, and what the broker holds for all sessions together, where it tells."""

    members: list[Listed]
    queued_messages: int | None


def members(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of lines")] = False,
) -> None:
    """List the members of ingests' groups; one that is offline and has not left parks its share."""
    listing = run_or_fail(list_members(load_settings()))
    if as_json:
        print(msgspec.json.encode(listing).decode())
        return
    for member in listing.members:
        print(f"{member.client_id}: {member.state}, group {member.group or '-'}")
    if listing.queued_messages is not None:
        print(f"the broker holds {listing.queued_messages:,} messages for all sessions")


async def list_members(settings: IngestSettings) -> Listing:
    """Ask the broker as a guest, who disturbs no session. Raises OSError and SettingError."""
    found: dict[str, bytes] = {}
    heard = asyncio.Event()

    def take(_client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        found[topic] = payload
        heard.set()
        return _SUCCESS

    client = gmqtt.Client(f"{settings.client_id}-guest-{secrets.token_hex(4)}")
    client.on_message = take
    answers: asyncio.Queue[None] = asyncio.Queue()
    client.on_subscribe = lambda *_answer: answers.put_nowait(None)
    client.set_config({"reconnect_retries": 0})
    client.set_auth_credentials(settings.username, settings.broker_password.value)
    async with asyncio.timeout(settings.connect_timeout_seconds):
        await client.connect(
            settings.broker_host,
            settings.broker_port,
            ssl=tls.client_context(settings) or False,
            keepalive=settings.keepalive_seconds,
        )
        # What is retained comes before the answer to the next question, however late that is.
        for topic in (STATUSES, _STORED, _RETAINED, _RETAINED):
            client.subscribe(topic, qos=0)
            await answers.get()
    # Another broker may send it later, and nothing says which is the last.
    while await _set_within(heard, _QUIET_SECONDS):
        heard.clear()
    await client.disconnect()
    return Listing(_members(found), _queued(found))


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _members(found: dict[str, bytes]) -> list[Listed]:
    members = []
    for topic, payload in sorted(found.items()):
        try:
            status = msgspec.json.decode(payload, type=MemberStatus)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # a count, or a word that is no member's
        members.append(Listed(topic.rpartition("/")[2], status.state, status.group))
    return members


def _queued(found: dict[str, bytes]) -> int | None:
    try:
        return max(0, int(found[_STORED]) - int(found[_RETAINED]))
    except (KeyError, ValueError):
        return None
