"""Open files: each device needs one for its connection."""

import resource

_SPARE = 64  # the ledger, the event loop, libraries, connections that are just closing


class TooFewDescriptors(Exception):
    """Raised when the system allows fewer open files than the fleet needs."""


def allow_connections(connections: int) -> None:
    """Raise this process's limit of open files as far as allowed, or say that it is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise TooFewDescriptors(
            f"{connections} connections need {needed} open files, and the hard limit of this "
            f"process is {hard} (RLIMIT_NOFILE, `ulimit -Hn`)"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard < 0 else hard, hard))
