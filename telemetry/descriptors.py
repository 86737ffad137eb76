"""Open files: each connection needs one."""

import resource

_SPARE = 64  # files, the event loop, libraries, connections that are just closing


class TooFewDescriptors(Exception):
    """Raised when the system allows fewer open files than are needed."""


def allow_connections(connections: int) -> None:
    """Raise this process's limit of open files as far as allowed, or say that it is too low."""
    allowed = allowed_connections(connections)
    if allowed < connections:
        raise TooFewDescriptors(
            f"{connections} connections need {connections + _SPARE} open files, and the hard limit "
            f"of this process is {allowed + _SPARE} (RLIMIT_NOFILE, `ulimit -Hn`)"
        )


def allowed_connections(wanted: int) -> int:
    """Raise this process's limit of open files; return how many of the connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _SPARE
    if hard != resource.RLIM_INFINITY and needed > hard:
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard < 0 else hard, hard))
    return needed - _SPARE
