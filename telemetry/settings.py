"""Settings, declared once as typed data and read from the environment before any socket opens.

A service declares a subclass of `Settings`; a field `flush_interval_ms` of the prefix `INGEST` is
the variable `INGEST_FLUSH_INTERVAL_MS`. `INGEST_PASSWORD_FILE` names a file that holds the value of
a secret. The reference in `docs/settings.md` is made from the same declarations.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct


class SettingError(Exception):
    """Raised when a setting is missing, unreadable or out of its bounds; says what is allowed."""


class Secret(Struct, frozen=True, repr_omit_defaults=True):
    """A value that must not be seen in a log: its `repr` is dots."""

    value: str
    path: str | None = None

    def reread(self) -> "Secret":
        """Return the secret as its file holds it now; SettingError where it cannot be read."""
        return self if self.path is None else Secret(_read_secret(self.path, self.path), self.path)

    def __repr__(self) -> str:
        return "Secret(…)"


LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(Struct, frozen=True, kw_only=True):
    """The settings that every service has; a service's own stand in its subclass."""

    prefix: ClassVar[str] = ""

    log_level: Annotated[LogLevel, Meta(description="the least severe line that is logged")] = (
        "info"
    )
    log_format: Annotated[
        Literal["auto", "text", "json"],
        Meta(description="`auto` is text on a terminal and JSON elsewhere"),
    ] = "auto"

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, /, **given: object) -> Self:
        """Return the settings in force: those given (by a command line), then the environment."""
        found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        for declared in declarations(cls):
            if declared.name not in found:
                value = _from_environment(declared, environment)
                if value is not None:
                    found[declared.name] = value
            if declared.name not in found and declared.required:
                by_file = f" (or {declared.variable}_FILE)" if declared.is_secret else ""
                raise SettingError(f"{declared.variable}{by_file} is not set: {declared.help}")
        return cls(**found)


class Declared(Struct, frozen=True):
    """One setting as it was declared."""

    name: str
    variable: str
    type: Any
    default: object
    required: bool
    help: str

    @property
    def is_secret(self) -> bool:
        """Whether the value is a secret, to be given as a file."""
        bare = _bare(self.type)
        return bare is Secret or Secret in get_args(bare)

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return _allowed(self.type)


def declarations(settings: type[Settings]) -> Iterator[Declared]:
    """Yield the settings of a class, its own first, in the order in which they were declared."""
    hints = {field.name: field for field in msgspec.structs.fields(settings)}
    common = list(Settings.__struct_fields__)
    for name in [name for name in hints if name not in common] + common:
        field = hints[name]
        variable = f"{settings.prefix}_{name}".upper()
        yield Declared(
            name, variable, field.type, field.default, field.required, _description(field.type)
        )


def _from_environment(declared: Declared, environment: Mapping[str, str]) -> object:
    text, source = environment.get(declared.variable), declared.variable
    path = environment.get(f"{declared.variable}_FILE")
    if path is not None and declared.is_secret:
        source = f"{declared.variable}_FILE"
        if text is not None:
            raise SettingError(f"{declared.variable} and {source} are both set: keep the file")
        return Secret(_read_secret(source, path), path)
    if text is None:
        return None
    if declared.is_secret:
        return Secret(text)
    try:
        return msgspec.convert(text, declared.type, strict=False)
    except msgspec.ValidationError:
        _refuse(source, text, declared)


def _refuse(source: str, text: str, declared: Declared) -> NoReturn:
    patterns = [meta.pattern for meta in _metas(declared.type) if meta.pattern]
    if patterns:
        # A pattern says what is wrong, and the help what was meant.
        allowed = f"{declared.allowed} that matches {patterns[0]} is allowed: {declared.help}"
        raise SettingError(f"{source}={text!r}: {allowed}")
    raise SettingError(f"{source}={text!r}: {declared.allowed} is allowed")


def _read_secret(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingError(f"{variable}={path!r}: cannot be read: {reason}") from error
    if not text:
        raise SettingError(f"{variable}={path!r}: the file is empty")
    return text


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _metas(annotation: Any) -> list[Meta]:
    return [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Meta)]


def _description(annotation: Any) -> str:
    return next((meta.description for meta in _metas(annotation) if meta.description), "")


_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Secret: "a secret",
}


def _allowed(annotation: Any) -> str:
    bare = _bare(annotation)
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(bare))
    if get_origin(bare) in (Union, UnionType):
        return " or ".join(_allowed(part) for part in get_args(bare) if part is not type(None))
    bounds = [
        (meta.ge, meta.le)
        for meta in _metas(annotation)
        if meta.ge is not None or meta.le is not None
    ]
    kind = _KINDS.get(bare, "text")
    if not bounds:
        return kind
    least, most = bounds[0]
    return f"{kind} from {least} to {most}" if most is not None else f"{kind} of at least {least}"
