"""Which devices are online at a site, and what one of them measured lately."""

import sys

from telemetry.client import Client


def main(url: str) -> None:
    """Print them."""
    with Client(url) as denyut:
        for device in denyut.devices(site="surabaya", state="online"):
            print(device.device, device.rate)
        for reading in denyut.readings("meter-00000", fields=["power"], start="-10m"):
            print(reading.time, reading.values["power"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
