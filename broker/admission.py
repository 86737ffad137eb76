"""Who is let in when: after a start devices wait outside until an ingest has subscribed.

A session of Mosquitto's that is restored after a restart has lost its shared subscriptions (seen
with 2.0.11 and 2.0.21). What a device published before an ingest has subscribed again would have no
subscriber: at QoS 1 the broker says so (0x10), at QoS 2 it says success, and the reading is gone.

So the password file grows in three steps, each read at a SIGHUP: the health user alone, by which we
listen; then the services; and once an ingest says that it is online, which it does when it has
subscribed, the devices.
"""

import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from broker import access, probe
from broker.passwords import password_file
from telemetry.private_files import write_private

_STATUSES = "status/denyut/+"
_ONLINE = '"online"'

Passwords = dict[str, str]


class Admission:
    """Writes the password file of a Mosquitto that runs as `owner` and listens on loopback."""

    def __init__(self, path: Path, passwords: Passwords, *, port: int, owner: str | None) -> None:
        self.path = path
        self._passwords = passwords
        self._port = port
        self._owner = owner

    def begin(self) -> None:
        """Let nobody in but the health user, before the broker starts."""
        self._let_in({access.HEALTH})

    def follow(self, broker: int) -> None:
        """Let services and devices in, in their turn; `broker` is the process to be told.

        Returns when all are in. Raises NoBroker where the broker ends before.
        """

        def let_services_in() -> None:
            self._let_in(access.SERVICE_USERS)
            os.kill(broker, signal.SIGHUP)

        probe.hear(
            "127.0.0.1",
            self._port,
            access.HEALTH,
            self._passwords[access.HEALTH],
            _STATUSES,
            lambda text: _ONLINE in text,
            when_subscribed=let_services_in,
        )
        self._let_in(self._passwords)
        os.kill(broker, signal.SIGHUP)
        print("broker: an ingest has subscribed: devices are let in", file=sys.stderr, flush=True)

    def _let_in(self, users: Collection[str]) -> None:
        chosen = {user: text for user, text in self._passwords.items() if user in users}
        write_private(self.path, password_file(chosen), owner=self._owner)


def in_background(work: Callable[[int], None]) -> None:
    """Let a process that nobody has to wait for work beside this one, whose id it is told."""
    us = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # Twice, so that its end is init's business: what we become does not wait for children.
    if os.fork():
        os._exit(0)
    try:
        work(us)
    except (OSError, probe.NoBroker) as error:
        print(f"broker: devices are not let in: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)
