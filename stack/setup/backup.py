"""A backup of the buckets, shard by shard, while the server goes on writing.

All that was stored before the backup began is in it. Tokens, users and tasks are not.
"""

import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import urllib3
from influxdb_client import BackupService
from influxdb_client.rest import ApiException

from stack.setup.archive import ArchiveWriter, BackedUpBucket, Manifest, Shard
from stack.setup.plan import Plan
from stack.setup.server import NOT_FOUND, Server, SetupError

_CHUNK_BYTES = 2**20
_SHARD_TIMEOUT_MS = 600_000
# InfluxDB tries for 1.057 s to write its cache to files, then goes on without and tells its log.
_FLUSHED_WITHIN_SECONDS = 1.0
_FLUSH_TRIES = 10
_NO_FILES_SINCE = datetime(2200, 1, 1, tzinfo=UTC)


class Backup:
    """Reads one server."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self._server = server
        self._plan = plan
        self._service = BackupService(server.client.api_client)

    def write(self, out: BinaryIO) -> Iterator[str]:
        """Write a backup to a stream, yielding a line for each shard."""
        with self._server.errors():
            version = self._server.version()
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            archive = ArchiveWriter(out)
            found = self._buckets()
            buckets = []
            for name in self._plan.buckets:
                buckets.append((yield from self._bucket(archive, name, found[name])))
            manifest = Manifest(made_at=made_at, influxdb=version, buckets=buckets)
            archive.finish(manifest)
            yield f"{manifest.size} bytes of {', '.join(self._plan.buckets)} are in the backup"

    def _bucket(
        self, archive: ArchiveWriter, name: str, metadata: dict[str, Any]
    ) -> Generator[str, None, BackedUpBucket]:
        shards: list[Shard] = []
        for policy in metadata["retentionPolicies"]:
            groups, policy["shardGroups"] = policy["shardGroups"], []
            for group in groups:
                written = self._group(archive, name, group)
                if written is None:
                    continue
                policy["shardGroups"].append(group)
                shards += written
                size = sum(shard.size for shard in written)
                yield f"{name}: from {group['startTime']} to {group['endTime']}, {size} bytes"
        return BackedUpBucket(name.removeprefix(self._plan.bucket), metadata, shards)

    def _group(
        self, archive: ArchiveWriter, name: str, group: dict[str, Any]
    ) -> list[Shard] | None:
        """Write the shards of one range of time; None where its retention has ended."""
        if group.get("deletedAt"):
            return None
        try:
            return [
                archive.add_shard(shard["id"], self._shard(shard["id"]))
                for shard in group["shards"]
            ]
        except ApiException as error:
            if error.status != NOT_FOUND or self._is_there(name, group["id"]):
                raise
            return None

    def _is_there(self, name: str, group_id: int) -> bool:
        policies = self._buckets()[name]["retentionPolicies"]
        return any(
            group["id"] == group_id and not group.get("deletedAt")
            for policy in policies
            for group in policy["shardGroups"]
        )

    def _shard(self, shard_id: int) -> Iterator[bytes]:
        self._flush(shard_id)
        answer = self._service.get_backup_shard_id(
            shard_id, _preload_content=False, _request_timeout=_SHARD_TIMEOUT_MS
        )
        yield from _streamed(answer)

    def _flush(self, shard_id: int) -> None:
        """See that what was written so far stands in files, which are what is backed up."""
        for _try in range(_FLUSH_TRIES):
            begun = time.monotonic()
            answer = self._service.get_backup_shard_id(
                shard_id,
                since=_NO_FILES_SINCE,
                _preload_content=False,
                _request_timeout=_SHARD_TIMEOUT_MS,
            )
            for _chunk in _streamed(answer):
                pass
            if time.monotonic() - begun < _FLUSHED_WITHIN_SECONDS:
                return
        raise SetupError(f"{self._server.url} is too busy to write shard {shard_id} to its files")

    def _buckets(self) -> dict[str, dict[str, Any]]:
        """Return the plan's buckets as the server describes them to a restore."""
        answer = self._service.get_backup_metadata(_preload_content=False)
        found = {
            bucket["bucketName"]: bucket
            for bucket in _bucket_list(answer)
            if bucket["organizationName"] == self._plan.org
        }
        for name in self._plan.buckets:
            if name not in found:
                raise SetupError(f"{self._server.url} has no bucket {name} in {self._plan.org}")
        return found


def _streamed(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(_CHUNK_BYTES)
    finally:
        answer.release_conn()


def _bucket_list(answer: urllib3.BaseHTTPResponse) -> list[dict[str, Any]]:
    """Return the last of the answer's parts; those before hold users and tokens, and are let go."""
    boundary = b"--" + answer.headers["Content-Type"].partition("boundary=")[2].encode()
    begin = boundary + b'\r\nContent-Disposition: attachment; name="buckets"\r\n'
    held, begun = b"", False
    for chunk in _streamed(answer):
        held += chunk
        if not begun:
            at = held.find(begin)
            begun = at >= 0
            held = held[at:] if begun else held[-len(begin) :]
    text = held.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0]
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise SetupError("InfluxDB's list of buckets was cut short: its log says why") from error
