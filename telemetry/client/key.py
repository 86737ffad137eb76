"""The API key that a client shows: given as it is, or in a file that may change."""

import re
from pathlib import Path

_MOST_BYTES = 1_024
_KEY = re.compile(r"[!-~]{1,512}")


class Key:
    """A key, a file of one, or none; ValueError for what is no key, OSError for a file's fault."""

    def __init__(self, key: str | None, file: Path | None) -> None:
        if key is not None and file is not None:
            raise ValueError("give a key, or the file of one, not both")
        self._file = file
        self._key = _of_file(file) if file is not None else key
        if self._key is not None:
            _check(self._key, "the key")

    @property
    def headers(self) -> dict[str, str]:
        """The header that shows it."""
        return {} if self._key is None else {"Authorization": f"Bearer {self._key}"}

    def renew(self) -> bool:
        """Read the file again; whether there is another key in it now."""
        if self._file is None:
            return False
        try:
            before, self._key = self._key, _of_file(self._file)
        except (OSError, ValueError):
            return False  # it is being written, perhaps; what the API says of the old key stands
        return before != self._key


def _of_file(file: Path) -> str:
    with file.open("rb") as opened:
        key = opened.read(_MOST_BYTES + 1).decode("ascii", "replace").strip()
    _check(key, str(file))
    return key


def _check(key: str, where: str) -> None:
    # The key itself is left out of the error: it may end in a log.
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"{where} is not one word of printable characters")
