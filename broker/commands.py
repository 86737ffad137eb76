"""What the broker's commands share: how they fail in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from broker.certificates import CertificateError
from broker.devices import DevicesError
from telemetry.settings import SettingError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Say what is wrong in one line, and exit with code 2."""
    try:
        yield
    except (SettingError, CertificateError, DevicesError, OSError) as error:
        print(f"broker: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
