"""A channel: what carries payloads to where they are safe, and says so.

Who keeps readings, counts them and tries again is the carrier (carrier.py); a channel only sends.
A payload names its own site, device and measurement.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

LARGEST_PAYLOAD_BYTES = 65_536
"""What ingest takes as one payload, unless it is told otherwise."""

Lost = Callable[[str], None]


class Rejection(NamedTuple):
    """What was put in quarantine: of which payload of a batch, which reading, and why.

    `reading` is its index in the payload, None for all of it.
    """

    payload: int
    reading: int | None
    reason: str


NOT_NAMED = "one of too many for the answer to name"
"""Why a payload counts as rejected where nobody says which ones are: better that than as stored."""


class Answer(Struct, frozen=True):
    """All payloads are safe; readings of some are in quarantine."""

    rejected: Sequence[Rejection] = ()


ALL_STORED = Answer()


class Bounds(Struct, frozen=True):
    """How much goes through a channel at a time.

    A batch ends with the payload that makes it `batch_bytes` or more. A payload larger than
    `payload_bytes` is refused before it is sent. The first one of a batch waits `gather_seconds`
    for company.
    """

    batch_payloads: int
    batch_bytes: int
    batches_in_flight: int
    gather_seconds: float = 0.0
    payload_bytes: int = LARGEST_PAYLOAD_BYTES


class Channel(Protocol):
    """The sending side of one way, closed and opened again as often as need be."""

    @property
    def bounds(self) -> Bounds:
        """How much may be sent at a time, once it is open."""
        ...

    async def open(self, lost: Lost) -> None:
        """Connect; raise ConnectFailed. It is given up, cancelled, where it takes too long.

        `lost` is to be told, with a reason, of a connection that breaks while nothing is sent.
        """
        ...

    def send(self, payloads: Sequence[bytes]) -> Awaitable[Answer]:
        """Send a batch; an `async def` will do. It may be called again before there is an answer.

        What it returns ends once all payloads are safe, whatever becomes of this process. It raises
        ConnectionLost or ConnectFailed where there will be no answer, NotNow where the other side
        takes nothing for now; all payloads are sent again then. It is cancelled when the channel
        has been closed meanwhile.
        """
        ...

    async def close(self) -> None:
        """Close the connection in good order; also one that is broken or was never made."""
        ...

    def abort(self) -> None:
        """Break the connection without a word, as a fault does; `close` follows."""
        ...
