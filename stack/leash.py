"""Runs a command so that it dies with its parent: `python -I -S leash.py PARENT USER COMMAND…`.

The kernel kills the command when the parent ends, however that ends (PR_SET_PDEATHSIG, prctl(2)).
USER, where it is not `-`, is whom the command runs as. Changing the user clears the signal, so a
program that drops its own rights, as Mosquitto does, would escape: it gets its user here, before.
"""

import ctypes
import os
import pwd
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command, or exit with 1 and a line that says why not."""
    parent, user, *command = sys.argv[1:]
    # Each device is a connection: the usual soft limit of 1,024 files is too low.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    if user != "-":
        _become(user)
    # Python ignores these two, and what a process ignores its command would ignore as well.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent has already ended")
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([entry.pw_gid])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main()
