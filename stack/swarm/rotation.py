"""`make rotate`: new secrets, one kind after another, while the services go on.

A kind is made anew in the vault, the stack is deployed with it, and only then the old one ends.
While the broker restarts with new passwords, devices keep their readings and come back.
"""

from enum import StrEnum

from stack.swarm.deployment import Deployment
from stack.swarm.materials import API_KEY, API_KEYS, CERTIFIED, INGEST_KEYS, PASSWORDS
from stack.swarm.vault import Vault


class Rotated(StrEnum):
    """What can be made anew."""

    tokens = "tokens"
    passwords = "passwords"
    certificates = "certificates"
    api_keys = "api-keys"
    fleet_key = "fleet-key"


# New API keys and a new fleet key have to be carried to people and devices: only when asked for.
USUAL = (Rotated.tokens, Rotated.passwords, Rotated.certificates)

_FORGOTTEN = {
    Rotated.passwords: (*PASSWORDS, INGEST_KEYS),
    Rotated.certificates: tuple(f"{name}-certificate" for name in CERTIFIED),
    Rotated.api_keys: (API_KEY, API_KEYS),
    Rotated.fleet_key: ("fleet-key",),
    Rotated.tokens: (),
}


def rotate(deployment: Deployment, kinds: tuple[Rotated, ...]) -> None:
    """Make these kinds of secrets anew and bring the services over to them."""
    vault = Vault(deployment.settings.folder)
    for kind in kinds:
        vault.forget(*_FORGOTTEN[kind])
    if Rotated.tokens in kinds:
        for name, token in deployment.exchange(vault, rotate=True, new_operator=True).items():
            vault.keep(f"{name}-token", token)
    deployment.deploy()
    if Rotated.tokens in kinds:
        deployment.exchange(vault, retire=True)
    deployment.console.print(f"· made anew: {', '.join(kinds)}", highlight=False)
