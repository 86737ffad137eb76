"""A sender of lines, which hears what it is answered."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

Address = Path | tuple[str, int]


class LineSender:
    """One connection to a stream socket; `answers` holds every line that came, decoded.

    A `key` is sent first. With a certificate to `trust` it speaks TLS; `from_host` is
    the address that it comes from.
    """

    def __init__(
        self,
        address: Address,
        *,
        key: str | None = None,
        trust: Path | None = None,
        from_host: str | None = None,
    ) -> None:
        self._address = address
        self._from = None if from_host is None else (from_host, 0)
        self._key = key
        self._tls = None if trust is None else ssl.create_default_context(cafile=str(trust))
        self.answers: list[dict[str, Any]] = []
        self.is_over = asyncio.Event()

    async def __aenter__(self) -> Self:
        if isinstance(self._address, Path):
            self.reader, self.writer = await asyncio.open_unix_connection(self._address)
        else:
            host, port = self._address
            self.reader, self.writer = await asyncio.open_connection(
                host, port, ssl=self._tls, local_addr=self._from
            )
        if self._key is not None:
            self.send([msgspec.json.encode({"key": self._key})])
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._listening.cancel()
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    @property
    def durable(self) -> int:
        """How many lines are known to be safe."""
        return max((answer.get("durable", 0) for answer in self.answers), default=0)

    @property
    def error(self) -> str | None:
        """What was said to be the end."""
        return next((one["error"] for one in self.answers if "error" in one), None)

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """Each reading that was said to be in quarantine."""
        return [one for answer in self.answers for one in answer.get("quarantined", [])]

    def send(self, lines: Iterable[bytes]) -> None:
        """Send lines; their ends are added. Where the connection is over, nothing is sent."""
        if not self.writer.is_closing():
            self.writer.write(b"".join(line + b"\n" for line in lines))

    async def _listen(self) -> None:
        with suppress(OSError):
            while line := await self.reader.readline():
                self.answers.append(msgspec.json.decode(line))
        self.is_over.set()
