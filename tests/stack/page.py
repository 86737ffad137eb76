"""The guide's commands for a Swarm, run as they stand there, on the engine of the trial."""

import os
import sys
from pathlib import Path

from docs.consoles import commands, run
from docs.links import ROOT
from stack.swarm.removal import undeploy
from tests.stack.engine import SWARM_ADDRESSES
from tests.stack.trial import StepFailed, Trial

GUIDE = ROOT / "docs" / "guide.md"
_SECONDS = 540.0


def guide(trial: Trial) -> None:
    """Every command of the guide that needs an engine, from `docker swarm init` to its end."""
    undeploy(trial.deployment, with_data=True)
    trial.docker.run("swarm", "leave", "--force")
    found = commands(GUIDE.read_text(encoding="utf-8"), "console swarm")
    try:
        for one, printed in run(
            found,
            folder=ROOT,
            environment=_environment(trial),
            replace={},
            timeout_seconds=_SECONDS,
        ):
            if not one.is_shown_by(printed):
                raise StepFailed(f"$ {one.text}\n{printed}\n-- the guide says:\n{one.expected}")
            trial.must(True, f"$ {one.text}")
    finally:
        # As it was found, whatever of the page was carried out.
        trial.docker.call("swarm", "leave", "--force")
        trial.docker.run("swarm", "init", *SWARM_ADDRESSES)


def _environment(trial: Trial) -> dict[str, str]:
    """Return what makes the commands ask the trial's engine, for what this machine can have."""
    settings = trial.deployment.settings
    return {
        **trial.environment,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "120",
        "DENYUT_STATE_DIR": str(settings.folder.parent / "guide"),
        "DENYUT_INFLUXDB_IMAGE": settings.influxdb_image,
        "DENYUT_FRONT_IMAGE": settings.front_image,
        "DENYUT_GRAFANA_IMAGE": settings.grafana_image,
        "DENYUT_GRAFANA": str(settings.grafana),
        "DENYUT_HTTPS_PORT": str(settings.https_port),
        "DENYUT_MQTT_PORT": str(settings.mqtt_port),
        "DENYUT_HEALTH_INTERVAL_MS": str(settings.health_interval_ms),
        "DENYUT_UPDATE_MONITOR_SECONDS": str(settings.update_monitor_seconds),
    }
