"""What the services of a stack are given: secrets and configs, made from settings and the vault."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from broker.certificates import Authority, CertificateError, Issued, days_left
from stack.process import ROOMS
from stack.swarm import PreflightError, SwarmError
from stack.swarm.settings import DeploySettings
from stack.swarm.vault import Vault

STACK_FOLDER = Path(__file__).parents[1]
TOKENS = ("ingest", "api", "grafana")
CERTIFIED = ("broker", "front", "client", "ingest")
PASSWORDS = ("ingest-password", "api-password", "health-password", "grafana-password")
API_KEY, API_KEYS, LOADTEST_KEY = "api-key", "api-keys", "loadtest-key"
# The stack's own devices' key for ingest, what it is for, and the file of keys that ingest has.
SENSORS_KEY, SENSORS_KEY_FOR, INGEST_KEYS = "sensors-key", "sensors-key-made-for", "ingest-keys"
_WITH_KEY = ("tcp", "http")
# Load-test tasks whose publishers the broker lets in, and how many of each.
MOST_LOADTESTS, LOADTEST_DEVICES = 4, 500

# One that is about to run out is made anew: nobody likes to find out on a Sunday.
_RENEW_BEFORE_DAYS = 30
_COMMAND_SECONDS = 60


class Materials(Struct, frozen=True):
    """Contents by name; a secret's is not to be printed. `authority` is what people trust."""

    secrets: Mapping[str, str]
    configs: Mapping[str, str]
    authority: str

    def __repr__(self) -> str:
        return f"Materials({sorted(self.secrets)}, {sorted(self.configs)})"


def check_files(settings: DeploySettings) -> None:
    """Raise PreflightError where a file that the settings name is not there."""
    certificate, key = settings.authority_certificate, settings.authority_key
    if bool(certificate) != bool(key):
        raise PreflightError(
            "DENYUT_AUTHORITY_CERTIFICATE and DENYUT_AUTHORITY_KEY belong together: set both"
        )
    for variable, path in {
        "DENYUT_AUTHORITY_CERTIFICATE": certificate,
        "DENYUT_AUTHORITY_KEY": key,
        "DENYUT_BROKER_CA": settings.broker_ca,
        "DENYUT_DEVICES_FILE": settings.devices_file,
        "DENYUT_FLEET": settings.fleet if Path(settings.fleet).suffix else "",
    }.items():
        if path and not Path(path).is_file():
            raise PreflightError(f"{variable}={path!r}: there is no such file")


def make_materials(settings: DeploySettings, vault: Vault) -> Materials:
    """Make or find all but the store's tokens, which only the store can make."""
    authority = _authority(settings, vault)
    secrets = {name: vault.get(name) for name in ("fleet-key", *PASSWORDS)}
    secrets |= _certificates(settings, vault, authority)
    secrets |= _api_keys(vault)
    ranges = _ranges(settings)
    if settings.via in _WITH_KEY:
        secrets |= _ingest_door(vault, authority, _own_devices(ranges))
    broker_ca = Path(settings.broker_ca).read_text() if settings.broker_ca else None
    configs = {
        "authority": authority.certificate_pem,
        "ca": broker_ca or authority.certificate_pem,
        "devices": _devices(settings, ranges),
        "fleet": _fleet_file(settings).read_text(encoding="utf-8"),
        "front": (STACK_FOLDER / "front" / "haproxy.cfg").read_text(encoding="utf-8"),
        **_grafana(settings),
    }
    return Materials(secrets, configs, authority.certificate_pem)


def _authority(settings: DeploySettings, vault: Vault) -> Authority:
    try:
        if settings.authority_certificate:
            certificate, key = settings.authority_certificate, settings.authority_key
            return Authority.load(Issued(Path(certificate).read_text(), Path(key).read_text()))
        if vault.find("authority-certificate") is None:
            made = Authority.make(f"{settings.stack} authority").kept
            vault.keep("authority-key", made.key_pem)
            vault.keep("authority-certificate", made.certificate_pem)
        kept = Issued(vault.get("authority-certificate"), vault.get("authority-key"))
        return Authority.load(kept)
    except (CertificateError, OSError) as error:
        raise PreflightError(str(error)) from error


def _certificates(settings: DeploySettings, vault: Vault, authority: Authority) -> dict[str, str]:
    hosts = settings.hosts.split()
    # By the first of each, the services find it; by the others, people and devices.
    broker_hosts, front_hosts = (
        list(dict.fromkeys([service, *hosts])) for service in ("broker", "front")
    )
    made_for = f"{authority.certificate_pem}{' '.join([*broker_hosts, *front_hosts])}"
    if vault.find("certificates-made-for") != made_for:
        vault.forget(*(f"{name}-certificate" for name in CERTIFIED))
    broker = _certificate(vault, "broker", lambda: authority.issue_server(broker_hosts))
    front = _certificate(vault, "front", lambda: authority.issue_server(front_hosts))
    client = _certificate(vault, "client", lambda: authority.issue_client(settings.stack))
    vault.keep("certificates-made-for", made_for)
    return {
        "broker-certificate": broker.certificate_pem,
        "broker-key": broker.key_pem,
        # HAProxy wants both in one file.
        "front-certificate": front.certificate_pem + front.key_pem,
        "client-certificate": client.certificate_pem,
        "client-key": client.key_pem,
    }


def _certificate(vault: Vault, name: str, issue: Callable[[], Issued]) -> Issued:
    """Return a certificate that is valid for a while yet, and its key."""
    certificate, key = f"{name}-certificate", f"{name}-key"
    kept = vault.find(certificate)
    if kept is None or days_left(kept) < _RENEW_BEFORE_DAYS:
        made = issue()
        vault.keep(key, made.key_pem)
        kept = vault.keep(certificate, made.certificate_pem)
    return Issued(kept, vault.get(key))


def _api_keys(vault: Vault) -> dict[str, str]:
    """Return the file of the API's keys, hashed, and the load test's key, which may only read.

    The first key, which may do everything, is in the vault only.
    """
    if vault.find(API_KEY) is None or vault.find(API_KEYS) is None:
        vault.forget(API_KEYS, LOADTEST_KEY)
        vault.keep(API_KEY, _make_api_key(vault, "operator", "read", "command", "admin"))
    if vault.find(LOADTEST_KEY) is None:
        vault.keep(LOADTEST_KEY, _make_api_key(vault, "loadtest", "read"))
    return {name: vault.get(name) for name in (API_KEYS, LOADTEST_KEY)}


def _make_api_key(vault: Vault, name: str, *scopes: str) -> str:
    chosen = [part for scope in scopes for part in ("--scope", scope)]
    file = str(vault.path(API_KEYS))
    return _room("api", "keys", "make", "--name", name, *chosen, "--file", file).strip()


def _ingest_door(vault: Vault, authority: Authority, devices: str) -> dict[str, str]:
    """Return what ingest and devices need to meet without a broker: a certificate, and a key."""
    issued = _certificate(vault, "ingest", lambda: authority.issue_server(["ingest"]))
    # It may write for these devices only: another fleet needs another one.
    if vault.find(SENSORS_KEY_FOR) != devices or vault.find(INGEST_KEYS) is None:
        vault.forget(INGEST_KEYS)
        chosen = [part for one in devices.split() for part in ("--device", one)]
        file = str(vault.path(INGEST_KEYS))
        key = _room("ingest", "keys", "make", "--name", "sensors", *chosen, "--file", file).strip()
        vault.keep(SENSORS_KEY, key)
        vault.keep(SENSORS_KEY_FOR, devices)
    return {
        "ingest-certificate": issued.certificate_pem,
        "ingest-key": issued.key_pem,
        **{name: vault.get(name) for name in (INGEST_KEYS, SENSORS_KEY)},
    }


def _own_devices(ranges: str) -> str:
    """Return the names of the stack's own devices and processes, by their beginnings."""
    named = (one.partition("{") for one in ranges.split())
    return " ".join(["sensors-*", *(f"{name}*" if brace else name for name, brace, _ in named)])


def _devices(settings: DeploySettings, ranges: str) -> str:
    """Return the names that the broker lets in: all slots' devices, and each task's own.

    Publishers of a load test are `load-SLOT-NUMBER`, the task itself `loadtest-SLOT`.
    """
    own = "".join(f"sensors-{slot}\n" for slot in range(1, settings.max_sensors + 1))
    own += "".join(
        f"loadtest-{slot}\nload-{slot}-{{0000..{LOADTEST_DEVICES - 1:04}}}\n"
        for slot in range(1, MOST_LOADTESTS + 1)
    )
    further = Path(settings.devices_file).read_text("utf-8") if settings.devices_file else ""
    return f"{ranges}{own}{further}"


def _ranges(settings: DeploySettings) -> str:
    """Return the names of all slots' devices, as ranges."""
    return _room(
        "sensors", "devices", _fleet(settings), "--devices", str(settings.devices),
        "--slots", str(settings.max_sensors), "--ranges",
    )  # fmt: skip


def _fleet(settings: DeploySettings) -> str:
    named = settings.fleet
    return str(Path(named).resolve()) if Path(named).suffix else named


def _fleet_file(settings: DeploySettings) -> Path:
    if Path(settings.fleet).suffix:
        return Path(settings.fleet)
    return ROOMS / "sensors" / "fleets" / f"{settings.fleet}.toml"


def _grafana(settings: DeploySettings) -> dict[str, str]:
    """Return what Grafana is provisioned with, a config for each file."""
    folder = STACK_FOLDER / "grafana"
    files = [*folder.glob("*.yaml"), *folder.glob("dashboards/*.json")]
    found = {
        f"grafana-{file.stem.removeprefix('denyut-')}": file.read_text("utf-8") for file in files
    }
    if settings.runbooks_url:
        links = f"runbook_url: {settings.runbooks_url.rstrip('/')}/"
        found["grafana-alerts"] = found["grafana-alerts"].replace(
            "runbook_url: docs/runbooks/", links
        )
    return found


def _room(*arguments: str) -> str:
    """Return what a room's own command prints: its code is not for us to import."""
    asked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *arguments],
        cwd=ROOMS,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if asked.returncode != 0:
        raise SwarmError(asked.stderr.strip().splitlines()[-1])
    return asked.stdout
