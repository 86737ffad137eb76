"""The container's entry point: check everything, write Mosquitto's files, and become Mosquitto."""

import os
import resource
import sys
from pathlib import Path
from typing import NoReturn

from broker import access
from broker.admission import Admission, in_background
from broker.certificates import CertificateError, Issued, check_pair, days_left
from broker.configuration import (
    MOST_QUEUED_MESSAGES,
    BrokerConfiguration,
    BrokerLimits,
    Listener,
    ListenerTls,
    SocketFile,
)
from broker.devices import DevicesError, parse_devices
from broker.private_folder import private_folder
from broker.program import MISSING, find_mosquitto, mosquitto_user
from broker.settings import BrokerSettings
from telemetry.credentials import device_password
from telemetry.private_files import give, write_private
from telemetry.settings import SettingError

LOOPBACK = "127.0.0.1"
_PASSWORDS = "passwords"

_RENEW_DAYS = 14
_OTHER_FILES = 64  # besides a connection each: listeners, the log, the saved state
_MEGABYTE = 1_000_000
_UMASK = 0o007  # for the owner and the group alone
# All else stays here: a secret that came in the environment is none of Mosquitto's business.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


def serve(settings: BrokerSettings) -> NoReturn:
    """Replace this process by a Mosquitto with these settings; SettingError where it cannot be."""
    program = find_mosquitto()
    if program is None:
        raise SettingError(MISSING)
    plan = Plan(settings)
    owner = mosquitto_user()
    admission = Admission(
        Path(settings.runtime_dir) / _PASSWORDS,
        _passwords(settings, plan.devices),
        port=settings.health_port,
        owner=owner,
    )
    configuration = write_files(settings, plan, admission, owner)
    in_background(admission.follow)
    print(f"broker: {summary(settings, plan)}", file=sys.stderr, flush=True)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # Mosquitto leaves the mode of its socket file to this.
    os.umask(_UMASK)
    # As this process and not as its child, so that it gets SIGTERM itself, and saves.
    os.execve(program, [str(program), "-c", str(configuration)], environment)  # noqa: S606


class Plan:
    """What the settings' files hold, all of it checked: devices, certificate and authority."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.devices = _devices(settings)
        self.server = _server(settings)
        self.authority_pem = _authority(settings)
        if settings.require_certificate and settings.unix_socket:
            raise SettingError(
                "BROKER_UNIX_SOCKET: nobody shows a certificate there, and "
                "BROKER_REQUIRE_CERTIFICATE wants one of everybody"
            )
        if settings.require_certificate and self.authority_pem is None:
            raise SettingError("BROKER_REQUIRE_CERTIFICATE needs BROKER_TLS_CA_FILE")
        if settings.port == settings.health_port:
            raise SettingError("BROKER_PORT and BROKER_HEALTH_PORT are the same")
        _check_data_folder(settings)
        self.limits = _limits(settings, len(self.devices))


def write_files(
    settings: BrokerSettings, plan: Plan, admission: Admission, owner: str | None
) -> Path:
    """Write what Mosquitto reads into the runtime folder and return its configuration's path."""
    try:
        folder = private_folder(Path(settings.runtime_dir), owner=owner)
        give(Path(settings.data_dir), owner)

        def write(name: str, text: str) -> Path:
            return write_private(folder / name, text, owner=owner)

        tls = ListenerTls(
            certificate_file=write("server.crt", plan.server.certificate_pem),
            key_file=write("server.key", plan.server.key_pem),
            ca_file=None if plan.authority_pem is None else write("ca.crt", plan.authority_pem),
            require_certificate=settings.require_certificate,
        )
        admission.begin()
        configuration = BrokerConfiguration(
            listeners=(
                Listener(settings.host, settings.port, tls),
                Listener(LOOPBACK, settings.health_port),
                *([SocketFile(Path(settings.unix_socket))] if settings.unix_socket else ()),
            ),
            password_file=admission.path,
            acl_file=write("rules.acl", access.access_rules()),
            persistence_folder=Path(settings.data_dir),
            limits=plan.limits,
            log_level=settings.log_level,
        )
        return write("mosquitto.conf", configuration.text())
    except OSError as error:
        raise SettingError(f"BROKER_RUNTIME_DIR={settings.runtime_dir!r}: {error}") from error


def summary(settings: BrokerSettings, plan: Plan) -> str:
    """Return one line on what is served, and a further one for each thing to look after."""
    shown = " and their certificates" if settings.require_certificate else ""
    lines = [
        f"{len(plan.devices):,} devices with their passwords{shown} on port {settings.port} (TLS);"
        f" a full queue takes {plan.limits.full_queue_memory_bytes / _MEGABYTE:,.0f} MB of memory"
    ]
    left = days_left(plan.server.certificate_pem)
    if left < _RENEW_DAYS:
        lines.append(f"BROKER_TLS_CERTIFICATE_FILE expires in {left:.0f} days")
    files, needed = _open_files(), plan.limits.max_connections + _OTHER_FILES
    if files < needed:
        lines.append(f"{needed:,} open files may be needed, and {files:,} are allowed (nofile)")
    return "\nbroker: ".join(lines)


def _open_files() -> int:
    """Allow as many open files as this process may have, and return their number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard < 0 else hard


def _passwords(settings: BrokerSettings, devices: list[str]) -> dict[str, str]:
    services = {
        access.INGEST: settings.ingest_password,
        access.API: settings.api_password,
        access.HEALTH: settings.health_password,
    }
    fleet_key = settings.fleet_key.value
    return {
        **{user: password.value for user, password in services.items()},
        **{device: device_password(fleet_key, device) for device in devices},
    }


def _devices(settings: BrokerSettings) -> list[str]:
    name = "BROKER_DEVICES_FILE"
    try:
        return parse_devices(_text(name, settings.devices_file))
    except DevicesError as error:
        raise SettingError(f"{name}={settings.devices_file!r}: {error}") from error


def _server(settings: BrokerSettings) -> Issued:
    certificate = _text("BROKER_TLS_CERTIFICATE_FILE", settings.tls_certificate_file)
    server = Issued(certificate, _text("BROKER_TLS_KEY_FILE", settings.tls_key_file))
    try:
        check_pair(server)
    except CertificateError as error:
        raise SettingError(f"BROKER_TLS_CERTIFICATE_FILE, BROKER_TLS_KEY_FILE: {error}") from error
    return server


def _authority(settings: BrokerSettings) -> str | None:
    if not settings.tls_ca_file:
        return None
    name = "BROKER_TLS_CA_FILE"
    text = _text(name, settings.tls_ca_file)
    try:
        left = days_left(text)
    except CertificateError as error:
        raise SettingError(f"{name}={settings.tls_ca_file!r}: {error}") from error
    if left < 0:
        raise SettingError(f"{name}={settings.tls_ca_file!r}: it has expired")
    return text


def _limits(settings: BrokerSettings, devices: int) -> BrokerLimits:
    load = settings.load_for(devices)
    if load.queued_messages > MOST_QUEUED_MESSAGES:
        raise SettingError(
            f"BROKER_RATE times BROKER_OUTAGE_SECONDS is {load.queued_messages:,} readings: "
            f"Mosquitto can queue {MOST_QUEUED_MESSAGES:,}"
        )
    return BrokerLimits.for_load(load)


def _check_data_folder(settings: BrokerSettings) -> None:
    if not os.access(settings.data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise SettingError(
            f"BROKER_DATA_DIR={settings.data_dir!r}: "
            f"not a folder in which user {os.geteuid()} can write"
        )


def _text(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingError(f"{variable}={path!r}: cannot be read: {reason}") from error
