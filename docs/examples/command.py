"""A device is told to publish twice a second."""

import sys

from telemetry.client import Client, DeviceOffline


def main(url: str) -> None:
    """Tell it, and print what it answers."""
    with Client(url) as denyut:
        try:
            told = denyut.command("meter-00000", "set-period", {"period_ms": 500})
            print(told.answer)
        except DeviceOffline as error:
            print(error.detail)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
