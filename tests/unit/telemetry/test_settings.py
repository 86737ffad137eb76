"""Settings: declared once, read from the environment, refused in words that say what is allowed."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from msgspec import Meta

from telemetry.settings import Secret, SettingError, Settings, declarations


class ExampleSettings(Settings, frozen=True, kw_only=True):
    prefix: ClassVar[str] = "EXAMPLE"

    password: Annotated[Secret, Meta(description="the password")]
    flush_interval_ms: Annotated[int, Meta(ge=1, le=60_000, description="how long")] = 100
    mode: Literal["fast", "safe"] = "safe"
    share: float = 0.5
    verbose: bool = False


GIVEN = {"EXAMPLE_PASSWORD": "secret"}


def test_what_is_not_set_has_its_default() -> None:
    settings = ExampleSettings.load(GIVEN)

    assert (settings.flush_interval_ms, settings.mode, settings.log_level) == (100, "safe", "info")


def test_the_environment_is_read_by_type() -> None:
    settings = ExampleSettings.load(
        GIVEN
        | {"EXAMPLE_FLUSH_INTERVAL_MS": "7", "EXAMPLE_SHARE": "0.25", "EXAMPLE_VERBOSE": "true"}
    )

    assert (settings.flush_interval_ms, settings.share, settings.verbose) == (7, 0.25, True)


def test_what_is_given_stands_before_the_environment() -> None:
    settings = ExampleSettings.load(GIVEN | {"EXAMPLE_MODE": "fast"}, mode="safe")

    assert settings.mode == "safe"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("EXAMPLE_FLUSH_INTERVAL_MS", "abc", "a whole number from 1 to 60000"),
        ("EXAMPLE_FLUSH_INTERVAL_MS", "0", "a whole number from 1 to 60000"),
        ("EXAMPLE_FLUSH_INTERVAL_MS", "60001", "a whole number from 1 to 60000"),
        ("EXAMPLE_FLUSH_INTERVAL_MS", "", "a whole number from 1 to 60000"),
        ("EXAMPLE_MODE", "slow", "one of fast, safe"),
        ("EXAMPLE_SHARE", "half", "a number"),
        ("EXAMPLE_VERBOSE", "maybe", "true or false"),
        ("EXAMPLE_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_bad_value_is_refused_with_setting_value_and_what_is_allowed(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingError) as caught:
        ExampleSettings.load(GIVEN | {variable: value})

    assert str(caught.value) == f"{variable}={value!r}: {allowed} is allowed"


def test_text_of_the_wrong_shape_is_refused_with_its_pattern_and_its_meaning() -> None:
    class Addressed(Settings, frozen=True, kw_only=True):
        prefix: ClassVar[str] = "EXAMPLE"
        target: Annotated[str, Meta(pattern="^https?://", description="as `https://host`")] = ""

    with pytest.raises(SettingError) as caught:
        Addressed.load({"EXAMPLE_TARGET": "host"})

    said = "EXAMPLE_TARGET='host': text that matches ^https?:// is allowed: as `https://host`"
    assert str(caught.value) == said


def test_a_missing_setting_is_named_with_its_meaning() -> None:
    with pytest.raises(
        SettingError, match=r"^EXAMPLE_PASSWORD \(or EXAMPLE_PASSWORD_FILE\) is not"
    ):
        ExampleSettings.load({})


def test_a_secret_is_read_from_a_file_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("hush\n")

    settings = ExampleSettings.load({"EXAMPLE_PASSWORD_FILE": str(path)})

    assert settings.password.value == "hush"


def test_a_secret_is_not_shown() -> None:
    settings = ExampleSettings.load(GIVEN)

    assert "secret" not in repr(settings)
    assert "secret" not in str(settings.password)


def test_a_secret_file_that_cannot_be_read_fails_loudly(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")

    for name, reason in (("missing", "No such file"), ("empty", "the file is empty")):
        with pytest.raises(SettingError, match=reason):
            ExampleSettings.load({"EXAMPLE_PASSWORD_FILE": str(tmp_path / name)})


def test_a_secret_and_its_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="both set"):
        ExampleSettings.load(GIVEN | {"EXAMPLE_PASSWORD_FILE": str(tmp_path)})


def test_every_declaration_knows_its_variable_and_what_it_takes() -> None:
    declared = {one.name: one for one in declarations(ExampleSettings)}

    assert declared["flush_interval_ms"].variable == "EXAMPLE_FLUSH_INTERVAL_MS"
    assert declared["flush_interval_ms"].allowed == "a whole number from 1 to 60000"
    assert declared["flush_interval_ms"].help == "how long"
    assert declared["password"].required
    assert declared["password"].is_secret
    assert list(declared)[-2:] == ["log_level", "log_format"]
