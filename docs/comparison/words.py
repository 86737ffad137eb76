"""Numbers and words in the two languages of the pages."""

from typing import Literal

from msgspec import Struct

Language = Literal["en", "id"]


class Words(Struct, frozen=True):
    """One thing in both languages; `{…}` stands for figures."""

    en: str
    id: str

    def say(self, language: Language, **figures: str) -> str:
        """Return it in a language, with its figures."""
        return (self.en if language == "en" else self.id).format(**figures)


def number(value: float | None, language: Language, digits: int = 0) -> str:
    """Write a number as the language does; a dash where there is none."""
    if value is None:
        return "-"
    text = f"{value:,.{digits}f}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))
