"""The folder of a stack's secrets: one file each, made once, kept, and readable by us alone.

Swarm does not give a secret back. What has to be told again (a password to the people who use it,
the operator's token to the next set-up) is therefore here as well, on the machine that deploys.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from stack.swarm import SwarmError
from telemetry.private_files import write_private

_SECRET_BYTES = 32


class Vault:
    """Secrets by name. What is asked for and not there is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "secrets"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a secret is kept."""
        return self.folder / name

    def find(self, name: str) -> str | None:
        """Return a secret, or None where it was never made; SwarmError if it cannot be read."""
        try:
            return self.path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise SwarmError(f"{self.path(name)} cannot be read: {error}") from error

    def keep(self, name: str, text: str) -> str:
        """Keep a secret in the place of the one before, and return it."""
        write_private(self.path(name), text)
        return text

    def get(self, name: str, make: Callable[[], str] | None = None) -> str:
        """Return a secret; where there is none yet, make it (without `make`, at random)."""
        found = self.find(name)
        return found if found is not None else self.keep(name, (make or random_secret)())

    def forget(self, *names: str) -> None:
        """Let the next `get` make these anew."""
        for name in names:
            self.path(name).unlink(missing_ok=True)


def random_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(_SECRET_BYTES)
