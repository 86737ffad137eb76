"""Health: whether the process lives, and whether what it depends on answers."""

from collections.abc import Callable, Mapping

Check = Callable[[], str | None]
"""A dependency's check: None where all is well, else what is wrong, in one line for a person."""


def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Return whether every dependency answers, and each one's word by its name."""
    words = {name: check() for name, check in checks.items()}
    ready = all(word is None for word in words.values())
    return ready, {name: "ok" if word is None else word for name, word in words.items()}
