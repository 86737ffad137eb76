"""The id of a request: the asker's own where it is sane, so that both sides' logs can be joined."""

import re
import secrets

HEADER = "X-Request-ID"

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_BYTES = 8


def request_id(given: str | None) -> str:
    """Return the id that a request brings, or a new one where it is missing, long or odd."""
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(_BYTES)
