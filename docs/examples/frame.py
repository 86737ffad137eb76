"""What each meter drew on average in the last hour, with pandas."""

import sys

from telemetry.client import Client


def main(url: str) -> None:
    """Print it."""
    with Client(url) as denyut:
        frame = denyut.readings(measurement="electricity", start="-1h", every="1m").frame()
        print(frame.groupby("device", observed=True)["power"].mean())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
