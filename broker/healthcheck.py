"""The container's health check: `python -E -S -m broker.healthcheck` asks the broker as a client.

It connects with a password, subscribes and waits for what the broker retains, so that listening,
password file, access rules and delivery all have to work. Exit code 0 or 1, and one line that says
why. It runs every few seconds, so that it has only light imports: not even pathlib.
"""
# ruff: noqa: PTH123

import os
import sys

from broker import probe

TOPIC = "$SYS/broker/version"

_PASSWORD_FILE = "BROKER_HEALTH_PASSWORD_FILE"  # noqa: S105
_SECONDS = 4.0


def main() -> None:
    """Ask, and exit with 1 and a line that says why where the broker is not well."""
    port = int(os.environ.get("BROKER_HEALTH_PORT") or 1883)
    try:
        with open(os.environ.get(_PASSWORD_FILE, ""), encoding="utf-8") as file:
            password = file.read().rstrip("\r\n")
    except OSError as error:
        sys.exit(f"{_PASSWORD_FILE} cannot be read: {error.strerror}")
    try:
        print(
            probe.retained("127.0.0.1", port, "health", password, TOPIC, timeout_seconds=_SECONDS)
        )
    except probe.NoBroker as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
