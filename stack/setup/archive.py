"""A backup's file: a tar of parts of bounded size, and at its end a list with their SHA-256.

shards/12/000001     a piece of the tar in which InfluxDB keeps shard 12
…
manifest.json        what the buckets are, and each part with its size and digest
manifest.json.sha256 the digest of that

InfluxDB does not say how large a shard's tar will be, and a member of a tar begins with its size:
so a shard is cut into parts that fit into memory. `cat shards/12/*` puts it together again.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct

from stack.setup.server import BackupDamaged

PART_BYTES = 8 * 2**20
_MANIFEST = "manifest.json"
_DIGEST = "manifest.json.sha256"
_MOST_MANIFEST_BYTES = 2**28
_CHUNK_BYTES = 2**20
EMPTY_SHARD_BYTES = 1024
# A tar ends so, and what InfluxDB sends of a shard when it fails half way does not.
_TAR_END = bytes(EMPTY_SHARD_BYTES)


class Part(Struct, frozen=True):
    """One member of the file."""

    name: str
    size: int
    sha256: str


class Shard(Struct, frozen=True):
    """One shard: its number at the server that was backed up, and its parts in order."""

    id: int
    parts: list[Part]

    @property
    def size(self) -> int:
        """The bytes of all parts."""
        return sum(part.size for part in self.parts)


class BackedUpBucket(Struct, frozen=True):
    """One bucket: what its name adds to that of the readings' bucket, and what it is."""

    suffix: str
    metadata: dict[str, Any]
    shards: list[Shard]


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: Literal["denyut-backup-1"] = "denyut-backup-1"
    made_at: str
    influxdb: str
    buckets: list[BackedUpBucket]

    @property
    def size(self) -> int:
        """The bytes of all shards."""
        return sum(shard.size for bucket in self.buckets for shard in bucket.shards)


class ArchiveWriter:
    """Writes a backup to a stream, which needs not be a file."""

    def __init__(self, out: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add_shard(self, shard_id: int, chunks: Iterable[bytes]) -> Shard:
        """Write a shard as it comes; BackupDamaged where it ends early."""
        parts: list[Part] = []
        last = b""
        for number, data in enumerate(_cut(chunks), start=1):
            parts.append(self._add(f"shards/{shard_id}/{number:06}", data))
            last = (last + data)[-len(_TAR_END) :]
        if last != _TAR_END:
            raise BackupDamaged(f"InfluxDB ended shard {shard_id} early: its log says why")
        return Shard(shard_id, parts)

    def finish(self, manifest: Manifest) -> None:
        """Write the list of all that was written: without it a backup is not one."""
        listed = self._add(_MANIFEST, msgspec.json.encode(manifest))
        self._add(_DIGEST, listed.sha256.encode())
        self._tar.close()

    def _add(self, name: str, data: bytes) -> Part:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.mode = 0o600
        self._tar.addfile(member, io.BytesIO(data))
        return Part(name, len(data), hashlib.sha256(data).hexdigest())


class Archive:
    """A backup in a file that can be read at any place."""

    def __init__(self, file: BinaryIO) -> None:
        """Open a backup and check every byte that counts; BackupDamaged where one is wrong."""
        self._file = file
        with _damage():
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            self._members = {member.name: member for member in self._tar}
            listed = self._whole(_MANIFEST)
            if hashlib.sha256(listed).hexdigest().encode() != self._whole(_DIGEST):
                raise BackupDamaged("the backup is damaged: its manifest is not what was written")
            self.manifest = msgspec.json.decode(listed, type=Manifest)
        for bucket in self.manifest.buckets:
            for shard in bucket.shards:
                self._check(shard)

    def read(self, shard: Shard) -> Iterator[bytes]:
        """Yield the bytes of a shard."""
        for part in shard.parts:
            yield from self._chunks(part.name)

    def _check(self, shard: Shard) -> None:
        for part in shard.parts:
            digest = hashlib.sha256()
            with _damage():
                for chunk in self._chunks(part.name):
                    digest.update(chunk)
            if digest.hexdigest() != part.sha256:
                raise BackupDamaged(f"the backup is damaged: {part.name} is not what was written")

    def _whole(self, name: str) -> bytes:
        if self._members[name].size > _MOST_MANIFEST_BYTES:
            raise BackupDamaged(f"the backup is damaged: {name} is too large")
        return b"".join(self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        opened = self._tar.extractfile(self._members[name])
        if opened is None:
            raise BackupDamaged(f"the backup is damaged: {name} is not a file")
        while chunk := opened.read(_CHUNK_BYTES):
            yield chunk


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of one size; the last one is smaller."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)


@contextmanager
def _damage() -> Iterator[None]:
    """Call what a file that is no whole backup makes its readers raise by its name."""
    try:
        yield
    except KeyError as error:
        text = f"the backup is damaged or cut short: {error.args[0]} is not in it"
        raise BackupDamaged(text) from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BackupDamaged(f"the backup is damaged or cut short: {error}") from error
