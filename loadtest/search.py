"""The search for the limit: raise the load until it is not held, then halve what is between.

The knee is the highest load that was held below every load that was not. The last one that was not
is tried again, because something else may have been in its way: of each load the last word counts.
"""

from msgspec import Struct

_RAISE_BY = 1.5
_WITHIN = 0.05  # how near the two sides of the knee come, as a share of the load
_TRIES = 2


class Step(Struct, frozen=True):
    """A load that was tried, as a number of users, and whether it was held."""

    users: int
    held: bool
    per_second: float
    why: str = ""


class Search:
    """Says what to try next."""

    def __init__(self, first: int, most: int) -> None:
        self._first, self._most = max(1, first), most
        self.steps: list[Step] = []

    @property
    def held(self) -> Step | None:
        """The highest load that was held, below all that were not."""
        lowest = self.missed.users if self.missed else self._most + 1
        return max(
            (one for one in self._known if one.held and one.users < lowest),
            key=lambda step: step.users,
            default=None,
        )

    @property
    def missed(self) -> Step | None:
        """The lowest load that was not held."""
        return min(
            (one for one in self._known if not one.held), key=lambda step: step.users, default=None
        )

    @property
    def _known(self) -> list[Step]:
        """The last word on each load."""
        return list({step.users: step for step in self.steps}.values())

    def note(self, step: Step) -> None:
        """Take in what came of a load."""
        self.steps.append(step)

    def next_users(self) -> int | None:
        """Return the load to try next; None once the knee is known, or the most was held."""
        held = self.held.users if self.held else 0
        if self.missed is None:
            if not self.steps:
                return min(self._first, self._most)
            raised = max(held + 1, round(held * _RAISE_BY))
            return min(raised, self._most) if held < self._most else None
        missed = self.missed.users
        gap = missed - held
        if gap > max(1, _WITHIN * missed):
            return held + gap // 2
        tried = sum(step.users == missed for step in self.steps)
        return missed if tried < _TRIES else None
