from pathlib import Path

from docs import links, reference
from sensors.settings import SensorsSettings
from telemetry.settings import declarations


def test_the_reference_of_settings_is_as_the_declarations_say() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run make docs"


def test_each_setting_stands_in_the_reference() -> None:
    page = reference.page()

    assert all(f"`{declared.variable}" in page for declared in declarations(SensorsSettings))


def test_a_secret_is_shown_as_a_file() -> None:
    assert "| `BROKER_FLEET_KEY_FILE` | a file that holds the secret | must be set |" in (
        reference.page()
    )


def test_every_relative_link_leads_somewhere() -> None:
    assert list(links.broken_links()) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One heading, with `code`\n")
    (tmp_path / "page.md").write_text(
        "[a](there.md) [b](there.md#one-heading-with-code) [c](https://example.org/x) "
        "[d](gone.md) [e](there.md#gone) ![f](gone.png)\n```\n[g](gone.md)\n```\n`[h](gone.md)`\n"
    )

    assert list(links.broken_links(tmp_path)) == [
        "page.md: gone.md",
        "page.md: there.md#gone",
        "page.md: gone.png",
    ]
