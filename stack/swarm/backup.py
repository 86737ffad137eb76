"""Backup and restore of the stack's InfluxDB, streamed through a one-off container."""

import sys
from pathlib import Path

import msgspec

from stack.setup.files import written
from stack.swarm import SwarmError
from stack.swarm.deployment import OPERATOR_TOKEN, Deployment
from stack.swarm.docker import DockerError
from stack.swarm.scaling import set_replicas
from stack.swarm.vault import Vault

_URL = "SETUP_URL=http://influxdb:8086"


def backup(deployment: Deployment, to: Path) -> None:
    """Write all buckets to a file: whole, or not at all."""
    command = deployment.oneoff.command("setup", "backup", "--secrets-from-stdin", variables=[_URL])
    with written(to, sys.stdout.buffer) as file:
        deployment.docker.pipe(*command, head=_secrets(deployment), target=file)
    deployment.console.print(f"· {to}: {to.stat().st_size:,} bytes", highlight=False)


def restore(deployment: Deployment, source: Path, *, replace: bool) -> None:
    """Bring a backup into the running InfluxDB, and the services' tokens in order again.

    What is stored now is replaced only where that is asked for. Meanwhile no ingest writes: its
    readings would go with what is replaced. The broker keeps them for it.
    """
    chosen = ["--replace"] if replace else []
    # A volume without a name, which goes with the container: the whole backup is checked there.
    command = deployment.oneoff.command(
        "setup", "restore", "--secrets-from-stdin", "--spool", "/data", *chosen,
        variables=[_URL], volumes=["/data"],
    )  # fmt: skip
    set_replicas(deployment, "ingest", 0)
    with source.open("rb") as file:
        try:
            deployment.docker.pipe(
                *command, head=_secrets(deployment), source=file, target=sys.stderr.buffer
            )
        except DockerError:
            deployment.deploy()  # ingest goes on with what is stored now
            raise
    deployment.console.print("· restored; now the tokens, which were of other buckets")
    deployment.deploy()


def _secrets(deployment: Deployment) -> str:
    token = Vault(deployment.settings.folder).find(OPERATOR_TOKEN)
    if token is None:
        stack = deployment.settings.stack
        raise SwarmError(f"the stack {stack} is not deployed from this machine: make deploy")
    return msgspec.json.encode({"operator_token": token}).decode() + "\n"
