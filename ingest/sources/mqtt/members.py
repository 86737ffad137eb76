"""The members of a share group, as their retained statuses tell: who is away and has not left.

The broker goes on dealing messages to a member that is away, and past its queue they are lost. So
each says where it is on `status/denyut/{client id}`, with `offline` as its last will, and one that
leaves for good takes its status away.
"""

import time
from typing import Literal

import msgspec
from msgspec import Struct

from ingest.tally import Tally
from telemetry import log
from telemetry.topics import OWN_SITE, status_topic

STATUSES = status_topic(OWN_SITE, "+")
_ORPHAN_AFTER_SECONDS = 60.0
_MAX_STATUS_BYTES = 4096
_logger = log.get(__name__)

State = Literal["online", "offline"]


class MemberStatus(Struct, frozen=True):
    """What an ingest says of itself."""

    state: State
    group: str
    profile: str = "ingest"

    def payload(self) -> bytes:
        """Return it as it is published."""
        return msgspec.json.encode(self)


class Members:
    """The members of one group that were heard of."""

    def __init__(self, client_id: str, group: str, tally: Tally) -> None:
        self._client_id = client_id
        self._group = group
        self._tally = tally
        self._away_since_s: dict[str, float] = {}
        self._away_before_s: dict[str, float] = {}
        self._named: set[str] = set()

    @property
    def topic(self) -> str:
        """Where this member says how it is."""
        return status_topic(OWN_SITE, self._client_id)

    def status(self, state: State) -> bytes:
        """Return this member's word."""
        return MemberStatus(state, self._group).payload()

    def begin_anew(self) -> None:
        """Expect to be told of all members again, as with each subscription.

        One that is not told of has left meanwhile; one that is away still, is so since it was.
        """
        self._away_before_s |= self._away_since_s
        self._away_since_s = {}

    def take(self, topic: str, payload: bytes) -> None:
        """Take a member's status; an empty one says that it has left for good."""
        client_id = topic.rpartition("/")[2]
        state = self._state(payload)
        if client_id == self._client_id:
            return
        if state == "offline":
            since_s = self._away_before_s.get(client_id, time.monotonic())
            self._away_since_s.setdefault(client_id, since_s)
        else:
            self._away_since_s.pop(client_id, None)
            self._away_before_s.pop(client_id, None)
            self._named.discard(client_id)

    def name_orphans(self) -> list[str]:
        """Return who is away for long, and say it once for each."""
        now_s = time.monotonic()
        orphans = sorted(
            client_id
            for client_id, since_s in self._away_since_s.items()
            if now_s - since_s >= _ORPHAN_AFTER_SECONDS
        )
        for client_id in orphans:
            if client_id not in self._named:
                self._named.add(client_id)
                _logger.error(
                    "a member of the group is away and has not left: its share is parked",
                    member=client_id,
                    group=self._group,
                    help=f"start it again, or: python -m ingest leave --client-id {client_id}",
                )
        self._tally.orphans = len(orphans)
        return orphans

    def _state(self, payload: bytes) -> State | None:
        try:
            status = msgspec.json.decode(payload[:_MAX_STATUS_BYTES], type=MemberStatus)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return status.state if status.group == self._group else None
