"""The readings of all meters as they come, until Ctrl-C, or until so many have come."""

import sys

from telemetry.client import Client, Gap, Reading


def main(url: str, most: int | None = None) -> None:
    """Print them; what was too much for the stream is asked for."""
    heard = 0
    with Client(url) as denyut, denyut.stream(measurement="electricity") as events:
        for event in events:
            match event:
                case Reading():
                    print(event.device, event.values)
                case Gap():
                    missed = list(denyut.readings(start=event.start, stop=event.stop))
                    print(f"{len(missed)} more came meanwhile")
            heard += isinstance(event, Reading)
            if heard == most:
                break


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080",
        int(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
