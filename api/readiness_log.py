"""What readiness found, in the log: to those without a key `/readyz` gives names only."""

from collections.abc import Mapping

from telemetry import log

_log = log.get(__name__)


class ReadinessLog:
    """Writes a line when the words change, not each time they are asked for."""

    def __init__(self) -> None:
        self._words: Mapping[str, str] = {}

    def note(self, words: Mapping[str, str]) -> None:
        """Take the words of a look at the dependencies."""
        if words == self._words:
            return
        self._words = words
        wrong = {name: word for name, word in words.items() if word != "ok"}
        if wrong:
            _log.warning("not ready", **wrong)
        else:
            _log.info("ready")
