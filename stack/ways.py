"""The ways other than MQTT on one machine: what each side of one has to be told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from msgspec import Struct


class Way(Struct, frozen=True):
    """A way between the processes of a local stack.

    `ingest` and `sensors` are settings without their prefix, for the one and the other side.
    """

    name: str
    ingest: Mapping[str, str]
    sensors: Mapping[str, str]

    @classmethod
    def folder(cls, path: Path) -> Self:
        """Return the way by a shared folder, which is made where it is not there yet."""
        path.mkdir(exist_ok=True)
        told = {"FOLDER": str(path)}
        return cls("folder", told, told)
