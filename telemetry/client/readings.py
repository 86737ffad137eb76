"""Readings of a range, as many as there are: one by one, page by page, or as a table."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from telemetry.client.answers import Reading, ReadingsPage
from telemetry.client.pages import Ask, pages

if TYPE_CHECKING:
    import pandas as pd


class Readings:
    """The readings that were asked for; each turn over them asks the API anew, page by page.

    Pages put together are the whole, whatever is written meanwhile within the range.
    """

    def __init__(self, ask: Ask, path: str, parameters: Mapping[str, str]) -> None:
        self._ask = ask
        self._path = path
        self._parameters = parameters

    def __iter__(self) -> Iterator[Reading]:
        for page in self.pages():
            yield from page.readings

    def pages(self) -> Iterator[ReadingsPage]:
        """Yield the API's answers; the first one tells what a relative range has become."""
        return pages(self._ask, ReadingsPage, self._path, self._parameters)

    def frame(self) -> "pd.DataFrame":
        """Return them as a pandas frame: a row per reading, a column per field, times as index.

        ImportError where pandas is not installed.
        """
        from telemetry.client.frame import frame_of  # pandas is no dependency

        return frame_of(self)
