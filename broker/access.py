"""The access rules as a file's text, and the users that are no devices."""

from importlib import resources

INGEST = "ingest"
API = "api"
HEALTH = "health"
SERVICE_USERS = frozenset({INGEST, API, HEALTH})


def access_rules() -> str:
    """Return the text of Mosquitto's access control file."""
    return resources.files("broker").joinpath("rules.acl").read_text(encoding="utf-8")
