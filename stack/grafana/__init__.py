"""Grafana: what ours is provisioned with, and `denyut-grafana` for one that is not ours.

GrafanaError         Grafana refuses, cannot be reached, or is none
└── NameTaken        something of another kind or of somebody else has a name of ours
"""

from stack import StackError


class GrafanaError(StackError):
    """Raised when Grafana does not do what it is asked; one line that says which and why."""


class NameTaken(GrafanaError):
    """Raised when a name of ours belongs to something that is not ours."""
