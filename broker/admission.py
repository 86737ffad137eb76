"""Who is let in when: after a start devices wait outside until an ingest has subscribed.

A session of Mosquitto's that is restored after a restart has lost its shared subscriptions (seen
with 2.0.11 and 2.0.21). What a device published before an ingest has subscribed again would have no
subscriber: at QoS 1 the broker says so (0x10), at QoS 2 it says success, and the reading is gone.

So the password file grows in three steps, each read at a SIGHUP: the health user alone, by which we
listen; then the services; and once an ingest says that it is online, which it does when it has
subscribed, the devices.

Nobody else lets anybody in, so that we go on for as long as the broker lives: where our connection
ends, we begin again. (A broker that has just begun to listen resets one now and then.)
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from broker import access, probe
from broker.passwords import password_file
from telemetry.private_files import write_private

_STATUSES = "status/denyut/+"
_ONLINE = '"online"'
_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.05
# Mosquitto forgets a SIGHUP that comes while it still follows the one before.
_SIGNAL_AGAIN_SECONDS = 2.0

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
        process = os.pidfd_open(broker)
        while True:
            try:
                self._follow(process)
            except probe.NoBroker as error:
                if _has_ended(process):
                    raise
                _say(f"devices still wait: {error}; asking again")
                time.sleep(_AGAIN_SECONDS)
                # An ingest that came meanwhile has to come again, or we have not heard it.
                self._let_in({access.HEALTH})
                _tell(process)
            else:
                _say("an ingest has subscribed: devices are let in")
                return

    def _follow(self, process: int) -> None:
        probe.hear(
            "127.0.0.1",
            self._port,
            access.HEALTH,
            self._passwords[access.HEALTH],
            _STATUSES,
            lambda text: _ONLINE in text,
            when_subscribed=lambda: self._admit(access.SERVICE_USERS, access.INGEST, process),
        )
        self._admit(self._passwords, next(reversed(self._passwords)), process)

    def _admit(self, users: Collection[str], newcomer: str, process: int) -> None:
        """Let these in, and return when one of them that was not is."""
        told_s = float("-inf")
        while not self._is_in(newcomer):
            if time.monotonic() - told_s > _SIGNAL_AGAIN_SECONDS:
                self._let_in(users)
                _tell(process)
                told_s = time.monotonic()
            time.sleep(_LOOK_SECONDS)

    def _is_in(self, user: str) -> bool:
        password = self._passwords[user]
        return probe.connect_reason("127.0.0.1", self._port, user, password) == probe.ACCEPTED

    def _let_in(self, users: Collection[str]) -> None:
        chosen = {user: text for user, text in self._passwords.items() if user in users}
        write_private(self.path, password_file(chosen), owner=self._owner)


def _tell(process: int) -> None:
    """Have the broker read its files again; nobody else can have its number meanwhile."""
    try:
        signal.pidfd_send_signal(process, signal.SIGHUP)
    except ProcessLookupError as error:
        raise probe.NoBroker("it has ended") from error


def _has_ended(process: int) -> bool:
    return bool(select.select([process], [], [], 0)[0])


def _say(text: str) -> None:
    print(f"broker: {text}", file=sys.stderr, flush=True)


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
        _say(f"devices are not let in: {error}")
    finally:
        os._exit(0)
