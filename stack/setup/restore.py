"""A backup put into a server, beside what is there, which makes way for it at the end.

Each bucket is restored under a name of its own first. So a restore that fails changes nothing: what
it has left is taken away by the next one.
"""

import copy
from collections.abc import Iterator
from typing import Any

import urllib3
from influxdb_client import BackupService, RestoreService
from influxdb_client.rest import ApiException

from stack.setup.archive import EMPTY_SHARD_BYTES, Archive, BackedUpBucket, Shard
from stack.setup.plan import Plan
from stack.setup.server import RequestRefused, Server, SetupError

_TIMEOUT_SECONDS = 600.0
_UNFINISHED = "_restoring"


class Restore:
    """Writes one server."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self._server = server
        self._plan = plan
        self._service = RestoreService(server.client.api_client)
        self._reading = BackupService(server.client.api_client)
        self._buckets = server.client.buckets_api()

    def check(self, *, replace: bool) -> None:
        """Raise RequestRefused where buckets are in the way, unless they are to be replaced."""
        with self._server.errors():
            self._server.version()
            if self._server.organisation() is None:
                raise RequestRefused(f"there is no organisation {self._plan.org}: set it up first")
            there = [name for name in self._plan.buckets if self._server.bucket(name) is not None]
        if there and not replace:
            text = f"the server has {', '.join(there)} already: --replace deletes what is there"
            raise RequestRefused(text)

    def apply(self, archive: Archive) -> Iterator[str]:
        """Restore a backup in place of what is there, yielding a line for each step."""
        backed_up = {self._plan.bucket + one.suffix: one for one in archive.manifest.buckets}
        with self._server.errors():
            for name, bucket in backed_up.items():
                yield from self._upload(archive, name + _UNFINISHED, bucket)
            for name in backed_up:
                self._replace(name)
                yield f"restored {name}"

    def _upload(self, archive: Archive, name: str, bucket: BackedUpBucket) -> Iterator[str]:
        self._delete(name)
        numbers = self._make(name, bucket)
        for shard in bucket.shards:
            self._send(archive, shard, numbers[shard.id])
            self._check_taken(shard, numbers[shard.id])
            yield f"{name}: {shard.size} bytes"

    def _make(self, name: str, bucket: BackedUpBucket) -> dict[int, int]:
        """Make a bucket with its empty shards; return their numbers by those in the backup."""
        metadata: dict[str, Any] = copy.deepcopy(bucket.metadata)
        metadata["organizationID"] = self._server.organisation_id()
        metadata["organizationName"] = self._plan.org
        metadata["bucketName"] = name
        made = self._service.post_restore_bucket_metadata(metadata)
        return {one.old_id: one.new_id for one in made.shard_mappings}

    def _send(self, archive: Archive, shard: Shard, number: int) -> None:
        # influxdb-client takes a body only whole; its pool takes it in pieces.
        pool: urllib3.PoolManager = self._server.client.api_client.rest_client.pool_manager
        answer = pool.request(
            "POST",
            f"{self._server.url.rstrip('/')}/api/v2/restore/shards/{number}",
            body=archive.read(shard),
            headers={
                "Authorization": f"Token {self._server.operator_token.value}",
                "Content-Type": "application/octet-stream",
                "Content-Length": str(shard.size),
            },
            timeout=_TIMEOUT_SECONDS,
            retries=False,
            redirect=False,
        )
        if answer.status >= 300:
            raise ApiException(http_resp=answer)

    def _check_taken(self, shard: Shard, number: int) -> None:
        # InfluxDB 2.9.1 answers 200 also where it could not keep what it was sent, as on a full
        # disk (Shard.Restore drops its engine's error): the shard is empty then.
        answer = self._reading.get_backup_shard_id(number, _preload_content=False)
        try:
            is_empty = len(answer.read(EMPTY_SHARD_BYTES + 1)) <= EMPTY_SHARD_BYTES
        finally:
            answer.close()
        if is_empty and shard.size > EMPTY_SHARD_BYTES:
            text = f"took shard {number} and has stored nothing of it: is its disk full?"
            raise SetupError(f"{self._server.url} {text} Its log says why")

    def _replace(self, name: str) -> None:
        restored = self._server.bucket(name + _UNFINISHED)
        if restored is None:
            raise SetupError(f"{name}{_UNFINISHED} is gone: is another restore running?")
        self._delete(name)
        restored.name = name
        self._buckets.update_bucket(restored)

    def _delete(self, name: str) -> None:
        found = self._server.bucket(name)
        if found is not None:
            self._buckets.delete_bucket(found)
