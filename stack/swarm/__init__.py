"""The stack on a Docker Swarm: deployed, scaled, renewed, backed up.

StackError
└── SwarmError          the Swarm cannot do what was asked; one line says what to do
    ├── DockerError     the engine refused a call
    ├── NotReady        a service did not become ready in time, or its update was rolled back
    └── PreflightError  something is missing, and nothing was changed
"""

from stack import StackError


class SwarmError(StackError):
    """Raised when the Swarm cannot do what was asked; the text says what to do."""


class PreflightError(SwarmError):
    """Raised when something is missing before anything was changed."""


class NotReady(SwarmError):
    """Raised when a service did not become ready in time, or its update was rolled back."""
