"""The ways into ingest: each source takes messages in its own manner, the rest is one pipeline.

A source hands messages to the intake with `accept`, and reads on only while there is room. For a
way that answers its sender it gives a message a receipt, which is honoured once every part of it is
in the store, in the spool or in quarantine.
"""

from collections.abc import Coroutine
from typing import Literal, Protocol, get_args

WayName = Literal["mqtt", "tcp", "unix", "udp", "unixgram", "folder", "database", "http"]
WAYS: tuple[WayName, ...] = get_args(WayName)


class Source(Protocol):
    """One way in; `problem` is what keeps it from taking messages, or None."""

    @property
    def way(self) -> WayName:
        """Which way it is."""
        ...

    @property
    def problem(self) -> str | None:
        """What is wrong, in words for /readyz; None while it works."""
        ...

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run until it is cancelled, by name."""
        ...

    def pause(self) -> None:
        """Take no more messages; those taken can still be answered."""
        ...

    async def disconnect(self) -> None:
        """Say goodbye, once all that was taken is durable."""
        ...
