"""Lines of Mosquitto's password file, made without its command-line tool.

A line is `user:$7$ROUNDS$SALT$HASH`, the last two in base64: PBKDF2 with HMAC-SHA512 as
`mosquitto_passwd` of Mosquitto 2.0 writes it (its `src/password_mosq.c`).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping

# As mosquitto_passwd: few, because every client's connecting costs them, and enough for passwords
# that are 256 random bits, as ours are.
_ROUNDS = 101
_SALT_BYTES = 12


class UserNameError(ValueError):
    """Raised when Mosquitto's password file cannot hold a user name."""


def password_line(user: str, password: str) -> str:
    """Return the line, with its newline, that lets `user` in with `password`.

    UserNameError where the name is empty or holds a colon, a line break or a NUL: the file has no
    escaping. A device whose name holds a colon therefore needs a broker with another kind of list.
    """
    if not user or set(user) & set(":\r\n\0"):
        raise UserNameError(f"{user!r} cannot be an MQTT user: no colon or line break is allowed")
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"{user}:$7${_ROUNDS}${_base64(salt)}${_base64(digest)}\n"


def password_file(passwords: Mapping[str, str]) -> str:
    """Return the file for these users and their passwords; about 10,000 users a second."""
    return "".join(password_line(user, password) for user, password in passwords.items())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
