"""The rows of the table, a module for each kind of fault."""

from importlib import import_module

MODULES = (
    "ingest_process",
    "store",
    "disks",
    "data",
    "messages",
    "broker",
    "link",
    "load",
    "refusals",
    "scale_out",
    "ways",
)


def register() -> None:
    """Bring every row into the registry."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
