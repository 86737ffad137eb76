"""The audit of a stack: the devices' ledgers against what InfluxDB holds, beside the services."""

import subprocess

from stack.swarm import SwarmError
from stack.swarm.deployment import Deployment
from stack.swarm.vault import Vault

_SECONDS = 900.0
_KEPT, _BROKEN = 0, 1


def audit_stack(deployment: Deployment, *, as_json: bool = False) -> tuple[bool, str]:
    """Return whether the promise was kept, and the audit's report."""
    settings = deployment.settings
    if not settings.ledger:
        raise SwarmError("the devices keep no ledger: make deploy with DENYUT_LEDGER=true first")
    token = Vault(settings.folder).find("api-token")
    if token is None:
        raise SwarmError(f"the stack {settings.stack} is not deployed: make deploy")
    chosen = ["--json"] if as_json else []
    command = deployment.oneoff.command(
        "ingest", "-m", "telemetry.audit", "--ledger", "/data/ledger", *chosen,
        entry=["/opt/venv/bin/python"],
        volumes=[f"{settings.stack}_sensors-data:/data:ro"],
        variables=["AUDIT_STORE_URL=http://influxdb:8086", "AUDIT_STORE_TOKEN_FILE=/dev/stdin"],
    )  # fmt: skip
    done = deployment.docker.call(*command, stdin=token, timeout_seconds=_SECONDS)
    if done.returncode not in (_KEPT, _BROKEN):
        raise SwarmError(f"the audit failed: {_last_line(done)}")
    return done.returncode == _KEPT, done.stdout


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or "it said nothing").splitlines()[-1]
