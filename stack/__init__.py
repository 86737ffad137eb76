"""Running the real parts: on one machine (`local`), and on a Swarm.

StackError
├── ProcessFailed      a part ended, or did not become ready in time
├── PortTaken          something else listens where a part should
└── MosquittoMissing   the broker is not installed
"""


class StackError(Exception):
    """Raised when a part cannot be started or has failed; its text is for a person."""
