"""Rows 25 to 27, 35 and 36 of the fault table, on the running containers."""

import json
import re
import socket
import ssl
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from broker.certificates import Authority, Issued
from stack.faults.raw_device import Disconnected, RawClient
from stack.process import ROOMS
from stack.swarm.docker import Row
from stack.swarm.vault import Vault
from telemetry.credentials import device_password
from tests.stack.steps import again
from tests.stack.trial import StepFailed, Trial

_SECONDS = 10.0
_NOT_AUTHORIZED = 0x87
_NO_PRIVILEGES = re.compile(r"^CapEff:\s+0+$.*^NoNewPrivs:\s+1$", re.MULTILINE | re.DOTALL)
_LISTENING = "0A"  # as /proc/net/tcp writes the state
_ANY_ADDRESS = "00000000"
_SAVE_SECONDS = 300
# The files of the vault that are no secrets.
_PUBLIC = ("authority-certificate", "broker-certificate", "certificates-made-for", "api-keys")
_LEAST_SECRET_LENGTH = 16

SITE = "trial"


def refusals(trial: Trial) -> None:
    """Rows 25 to 27: what a device may not do is refused, and said."""
    with trial.traffic():
        names = _devices(trial)
        own, other = names[0], names[1]
        _forbidden_topics(trial, own, other)
        _another_in_the_payload(trial, own, other)
        _no_credentials(trial, own)
        _no_plaintext(trial)
        trial.let_publish(5)


def mutual_tls(trial: Trial) -> None:
    """Row 27 with certificates on both sides: another authority's or an expired one is refused.

    The steps that follow go on so.
    """
    again(trial, mtls=True)
    with trial.traffic():
        own = _devices(trial)[0]
        vault = Vault(trial.deployment.settings.folder)
        authority = Authority.load(
            Issued(vault.get("authority-certificate"), vault.get("authority-key"))
        )
        trial.must(_reason(trial, own, _key(trial, own), None) is None, "no certificate: refused")
        for what, issued in {
            "another authority's certificate": Authority.make("another").issue_client(own),
            "an expired certificate": authority.issue_client(own, days=-1),
        }.items():
            trial.must(_reason(trial, own, _key(trial, own), issued) is None, f"{what}: refused")
        accepted = _reason(trial, own, _key(trial, own), authority.issue_client(own))
        trial.must(accepted == 0, "a certificate of the stack's authority: taken")
        trial.let_publish(10)


def containers(trial: Trial) -> None:
    """Row 36: no container is root's, can write its root, or can gain a privilege."""
    with trial.traffic():
        found = _containers(trial)
        for described in found:
            name = described["Config"]["Labels"]["com.docker.swarm.service.name"]
            lacks = _lacks(trial, described)
            trial.must(not lacks, f"{name} {', '.join(lacks) or 'is as it should be'}")
        wanted = [one for one in trial.deployment.observer.services().values() if one.wanted]
        trial.must(len(found) >= len(wanted), f"{len(found)} containers")
        trial.let_publish(10)


def secrets(trial: Trial) -> None:
    """Row 35: no secret is in an image, a service's description, an environment, a log."""
    with trial.traffic():
        wanted = _secrets(trial)
        trial.must(len(wanted) >= 12, f"{len(wanted)} secrets to look for")
        looked_at = 0
        for place, text in _places(trial):
            held = [name for name, secret in wanted.items() if secret in text]
            if held:
                raise StepFailed(f"{place} holds {', '.join(held)}")
            looked_at += 1
        trial.must(looked_at, f"no secret in {looked_at} places")
        trial.let_publish(3)


def _forbidden_topics(trial: Trial, own: str, other: str) -> None:
    with _client(trial, own, _key(trial, own), None) as client:
        for qos in (1, 2):
            for topic in (f"telemetry/{SITE}/{other}/power", "command/trial/x/reboot", "elsewhere"):
                reason = client.publish(topic, b"{}", qos)
                trial.must(reason == _NOT_AUTHORIZED, f"QoS {qos} to {topic}: {reason:#x}")


def _another_in_the_payload(trial: Trial, own: str, other: str) -> None:
    before = trial.group_figures()["denyut_ingest_quarantined_readings_total"]
    payload = {"ts": time.time_ns() // 1_000_000, "device": other, "values": {"power": 1.0}}
    with _client(trial, own, _key(trial, own), None) as client:
        reason = client.publish(f"telemetry/{SITE}/{own}/power", msgspec.json.encode(payload), 1)
    trial.must(reason == 0, "a payload that names another device is taken by the broker")
    trial.wait(
        10,
        lambda: trial.group_figures()["denyut_ingest_quarantined_readings_total"] == before + 1,
        "and quarantined by ingest",
    )


def _no_credentials(trial: Trial, own: str) -> None:
    trial.must(_reason(trial, own, "wrong", None) in (0x86, _NOT_AUTHORIZED), "a wrong password")
    trial.must(_reason(trial, "", "", None) in (0x86, _NOT_AUTHORIZED), "no name")
    stranger = device_password("another key", own)
    trial.must(
        _reason(trial, own, stranger, None) in (0x86, _NOT_AUTHORIZED), "another fleet's key"
    )
    with socket.create_connection(
        ("127.0.0.1", trial.deployment.settings.mqtt_port), _SECONDS
    ) as bare:
        try:
            RawClient(bare, own, _key(trial, own))
        except (Disconnected, OSError):
            trial.must(True, "plaintext on the TLS port: refused")
        else:
            raise StepFailed("the TLS port takes plaintext")


def _no_plaintext(trial: Trial) -> None:
    """Look at what the broker's container listens on, in the kernel's own words."""
    task = trial.deployment.observer.running_tasks("broker")[0]
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    listening: dict[int, set[str]] = {}
    for line in trial.docker.run("exec", container, "cat", "/proc/net/tcp").splitlines()[1:]:
        _number, local, _remote, state = line.split()[:4]
        if state == _LISTENING:
            address, port = local.split(":")
            listening.setdefault(int(port, 16), set()).add(address)
    # Docker's own name server listens in there as well, on loopback.
    outside = {port for port, addresses in listening.items() if _ANY_ADDRESS in addresses}
    trial.must(outside == {8883}, f"the broker is reached on {sorted(outside)} alone, with TLS")
    published = {
        port["PublishedPort"]
        for one in trial.deployment.docker.inspect(
            *(trial.service(name) for name in trial.deployment.observer.services()), kind="service"
        )
        for port in one.get("Endpoint", {}).get("Ports", [])
    }
    settings = trial.deployment.settings
    trial.must(published == {settings.mqtt_port, settings.https_port}, f"published: {published}")


def _lacks(trial: Trial, described: Row) -> list[str]:
    """Return what a container should not be or may not do, in words."""
    host, user = described["HostConfig"], described["Config"]["User"]
    status = trial.docker.run("exec", described["Id"], "cat", "/proc/1/status")
    checks = {
        "is root": bool(user) and not user.startswith(("0", "root")),
        "can write its root": host["ReadonlyRootfs"],
        "has capabilities": "ALL" in (host["CapDrop"] or []) and not host["CapAdd"],
        "takes all memory": host["Memory"] > 0,
        "takes all process ids": (host["PidsLimit"] or 0) > 0,
        "can gain privileges": _NO_PRIVILEGES.search(status) is not None,
    }
    return [what for what, fine in checks.items() if not fine]


def _containers(trial: Trial) -> list[Row]:
    stack = trial.deployment.settings.stack
    ids = trial.docker.run(
        "ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.stack.namespace={stack}"
    ).split()
    return trial.docker.inspect(*ids, kind="container")


def _secrets(trial: Trial) -> dict[str, str]:
    """Return the vault's secrets; of a key in PEM, its second line, which no other text has."""
    found = {}
    for path in sorted(Vault(trial.deployment.settings.folder).folder.iterdir()):
        if path.name in _PUBLIC:
            continue
        text = path.read_text().strip()
        if "PRIVATE KEY" in text:
            text = text.partition("PRIVATE KEY-----\n")[2].splitlines()[0]
        if len(text) >= _LEAST_SECRET_LENGTH and "CERTIFICATE" not in text:
            found[path.name] = text
    return found


def _places(trial: Trial) -> Iterator[tuple[str, str]]:
    """Yield everything that people other than the owner may read, as text."""
    docker, observer = trial.docker, trial.deployment.observer
    services = observer.services()
    names = [trial.service(name) for name in services]
    yield "the services' descriptions", json.dumps(docker.inspect(*names, kind="service"))
    yield "the containers' descriptions", json.dumps(_containers(trial))
    for described in _containers(trial):
        name = described["Config"]["Labels"]["com.docker.swarm.service.name"]
        pid = described["State"]["Pid"]
        for kind in ("environ", "cmdline"):
            path = Path(f"/proc/{pid}/{kind}")
            if path.exists():
                yield f"the {kind} of {name}", path.read_bytes().decode(errors="replace")
    for name in services:
        yield f"the log of {name}", _logged(trial, name)
    for image in sorted(
        {state.image for state in services.values() if "/denyut/" in f"/{state.image}"}
    ):
        yield f"the history of {image}", docker.run("history", "--no-trunc", image)
        yield f"the image {image}", _image_text(trial, image)
    git = ["git", "-C", str(ROOMS), "ls-files"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    for file in listed.splitlines():
        yield f"the file {file}", (ROOMS / file).read_bytes().decode(errors="replace")


def _logged(trial: Trial, name: str) -> str:
    """Return what all containers of a service have logged, those that have ended too.

    Asked of each container: the log of a service comes slowly, by way of the cluster's managers.
    """
    label = f"label=com.docker.swarm.service.name={trial.service(name)}"
    containers = trial.docker.run("ps", "--all", "--quiet", "--filter", label).split()
    told = [trial.docker.call("logs", container, timeout_seconds=60) for container in containers]
    # One that is removed meanwhile has no log any more.
    return "\n".join(one.stdout + one.stderr for one in told if one.returncode == 0)


def _image_text(trial: Trial, image: str) -> str:
    """Return all files of an image that are not compiled programs, one after another."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "image.tar"
        trial.docker.run("save", "--output", str(saved), image, timeout_seconds=_SAVE_SECONDS)
        with tarfile.open(saved) as outer:
            for layer in outer:
                file = outer.extractfile(layer) if layer.isfile() else None
                if file is not None:
                    parts.append(file.read().decode("latin-1"))
    return "".join(parts)


def _devices(trial: Trial) -> list[str]:
    """Return names that the broker lets in and that no running slot uses: the last slot's."""
    settings = trial.deployment.settings
    first = (settings.max_sensors - 1) * settings.devices
    return [f"meter-{first + number:05d}" for number in range(2)]


def _key(trial: Trial, device: str) -> str:
    return device_password(Vault(trial.deployment.settings.folder).get("fleet-key"), device)


def _client(trial: Trial, user: str, password: str, certificate: Issued | None) -> RawClient:
    settings = trial.deployment.settings
    context = ssl.create_default_context(cafile=str(settings.folder / "ca.pem"))
    if certificate is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate.certificate_pem + certificate.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    connection = socket.create_connection(("127.0.0.1", settings.mqtt_port), _SECONDS)
    return RawClient(context.wrap_socket(connection, server_hostname="localhost"), user, password)


def _reason(trial: Trial, user: str, password: str, certificate: Issued | None) -> int | None:
    """Return the broker's reason code; None where TLS does not come about."""
    try:
        with _client(trial, user, password, certificate):
            return 0
    except Disconnected as refused:
        return refused.reason
    except OSError:
        return None
