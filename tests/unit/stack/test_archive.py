"""A backup's file: cut into parts, and never taken for whole where it is not."""

import io
import random
import tarfile
import tracemalloc

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack.setup import archive as archives
from stack.setup.archive import Archive, ArchiveWriter, BackedUpBucket, Manifest
from stack.setup.server import BackupDamaged

TAR_END = bytes(1024)
TAR_BLOCK_BYTES, CHECK_SUM_END = 512, 155
PART_BYTES = 100
# One draw, whatever is made of it: Hypothesis then replays what it has kept from earlier runs.
ANY_NUMBER = st.integers(0, 2**40)
CONTENT = {
    7: random.Random(1).randbytes(777) + TAR_END,
    12: random.Random(2).randbytes(50) + TAR_END,
}


def chunks(data: bytes) -> list[bytes]:
    return [data[at : at + 64] for at in range(0, len(data), 64)]


def written(shards: dict[int, bytes]) -> bytes:
    out = io.BytesIO()
    writer = ArchiveWriter(out)
    listed = [writer.add_shard(number, chunks(data)) for number, data in shards.items()]
    bucket = BackedUpBucket("_1m", {"bucketName": "telemetry_1m"}, listed)
    writer.finish(Manifest(made_at="2026-01-01", influxdb="2.9.1", buckets=[bucket]))
    return out.getvalue()


def content(file: bytes) -> dict[int, bytes]:
    archive = Archive(io.BytesIO(file))
    shards = [shard for bucket in archive.manifest.buckets for shard in bucket.shards]
    return {shard.id: b"".join(archive.read(shard)) for shard in shards}


@pytest.fixture(scope="module")
def backup() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "PART_BYTES", PART_BYTES)
        return written(CONTENT)


def test_what_was_written_is_read_again(backup: bytes) -> None:
    assert content(backup) == CONTENT


def test_a_shard_is_cut_into_parts_that_any_tar_can_join(backup: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(backup)) as tar:
        parts = [member for member in tar if member.name.startswith("shards/7/")]
        joined = b"".join(tar.extractfile(part).read() for part in parts)  # type: ignore[union-attr]

    assert max(part.size for part in parts) == PART_BYTES
    assert joined == CONTENT[7]


@pytest.mark.parametrize("data", [b"", b"a tar that ends", bytes(1023), TAR_END + b"{}"])
def test_a_shard_that_ends_early_makes_no_backup(data: bytes) -> None:
    with pytest.raises(BackupDamaged, match="InfluxDB ended shard 1 early"):
        written({1: data})


def test_an_end_that_is_spread_over_parts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "PART_BYTES", 10)

    assert content(written({1: b"x" + TAR_END})) == {1: b"x" + TAR_END}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=ANY_NUMBER)
def test_a_flipped_bit_is_noticed_or_changes_nothing(backup: bytes, number: int) -> None:
    at, bit = divmod(number % (8 * len(backup)), 8)
    flipped = bytearray(backup)
    flipped[at] ^= 1 << bit

    try:
        found = content(bytes(flipped))
    except BackupDamaged:
        return
    # Nobody reads the zeros between a tar's members, nor the space behind a header's check sum.
    assert found == CONTENT
    assert backup[at] == 0 or at % TAR_BLOCK_BYTES == CHECK_SUM_END


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=ANY_NUMBER)
def test_a_backup_that_was_cut_short_is_refused(backup: bytes, number: int) -> None:
    # Behind the last member there are only zeros.
    end = len(backup.rstrip(b"\0"))

    with pytest.raises(BackupDamaged):
        content(backup[: number % end])


def test_a_manifest_of_another_format_is_refused(backup: bytes) -> None:
    other = backup.replace(b"denyut-backup-1", b"denyut-backup-2")

    with pytest.raises(BackupDamaged):
        content(other)


def test_a_file_that_is_something_else_is_refused() -> None:
    with pytest.raises(BackupDamaged):
        content(msgspec.json.encode({"operator_token": "t"}) * 100)


def test_a_large_shard_takes_no_more_memory_than_a_few_parts() -> None:
    class Nowhere(io.RawIOBase):
        def write(self, data: object) -> int:
            return len(data)  # type: ignore[arg-type]

    chunk = bytes(2**20)
    tracemalloc.start()
    try:
        shard = ArchiveWriter(Nowhere()).add_shard(1, (chunk for _ in range(100)))  # type: ignore[arg-type]
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert shard.size == 100 * 2**20
    assert peak_bytes < 5 * archives.PART_BYTES
