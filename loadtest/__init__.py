"""Load tests: Locust's users for the API and the broker, and the objectives that a run is held to.

LoadtestError       a run cannot begin, or its files cannot be read; one line says what to do
└── ObjectivesError a file of objectives is wrong; names the file and the key
"""


class LoadtestError(Exception):
    """Raised when a run cannot begin; the text says what to do."""


class ObjectivesError(LoadtestError):
    """Raised when a file of objectives is wrong; the text names the file and the key."""
