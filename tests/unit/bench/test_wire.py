import fcntl
import subprocess
import sys
from pathlib import Path

from bench.compare.wire import tcp_bytes

TRY = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def test_counting_bytes_leaves_the_locks_that_a_sender_has_on_files(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    with path.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)

        tcp_bytes()

        tried = subprocess.run([sys.executable, "-c", TRY, path], capture_output=True, check=False)
        assert b"BlockingIOError" in tried.stderr
