"""Whether the service is on its way out."""


class Drain:
    """Begins once and never ends; `begin` may be called by a signal's handler."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self) -> None:
        """Note that nobody should send anything more."""
        self.has_begun = True

    def check(self) -> str | None:
        """Return why the service is not ready any more, or None."""
        return "is stopping" if self.has_begun else None
