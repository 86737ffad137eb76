"""`make deploy`, step by step; each step can be done again, and then changes nothing."""

import time

import msgspec
from rich.console import Console

from stack.swarm import preflight
from stack.swarm.docker import Docker
from stack.swarm.materials import TOKENS, Materials, check_files, make_materials
from stack.swarm.objects import Objects
from stack.swarm.observation import Observer
from stack.swarm.oneoff import OneOff
from stack.swarm.readiness import Readiness
from stack.swarm.settings import DeploySettings
from stack.swarm.stackfile import StackFile, fitting_overlays, via_overlays
from stack.swarm.vault import Vault

OPERATOR_TOKEN, _ADMIN_PASSWORD = "operator-token", "influxdb-password"


class Deployment:
    """One stack on the Swarm that this engine manages."""

    def __init__(self, settings: DeploySettings, docker: Docker, console: Console) -> None:
        self.settings = settings
        self.docker = docker
        self.console = console
        self.observer = Observer(docker, settings.stack)
        self.oneoff = OneOff(docker, settings)
        self._objects = Objects(docker, settings.stack)

    def deploy(self) -> None:
        """Bring the Swarm to what the settings say, and wait until every service is ready."""
        began_s = time.monotonic()
        file = self._check()
        vault = Vault(self.settings.folder)
        materials = make_materials(self.settings, vault)
        self._say("secrets and certificates are in", vault.folder)
        tokens = self._prepare_store(file, vault)
        self._start(file, materials, tokens)
        self.settings.remember()
        removed = self._objects.prune()
        if removed:
            self._say(f"removed {removed} secrets and configs that nothing uses any more")
        self._say(f"ready after {time.monotonic() - began_s:.0f} s")
        self._print_addresses(vault, materials)

    def stack_file(self) -> StackFile:
        """Return the stack file for this Swarm."""
        nodes = len(self.docker.rows("node", "ls"))
        overlays = fitting_overlays(self.settings.overlays, nodes)
        overlays += via_overlays(self.settings.via, overlays)
        return StackFile(overlays, self.settings.variables)

    def _check(self) -> StackFile:
        info = preflight.check_engine(self.docker)
        check_files(self.settings)
        file = self.stack_file()
        preflight.check_ports(self.docker, self.settings)
        needed = sum(preflight.memory_bytes(size) * count for size, count in file.reserved_memory())
        preflight.check_memory(info, needed, int(info["Swarm"].get("Nodes") or 1))
        ours = self.settings.image("setup")
        preflight.check_images(self.docker, {*file.images(), ours}, self.settings.registry)
        if not preflight.has_no_new_privileges(self.docker, ours):
            self._warn_of_privileges()
        return file

    def _warn_of_privileges(self) -> None:
        self.console.print(
            "! the engine lets containers gain privileges, which a stack file cannot forbid: "
            'set "no-new-privileges": true in its daemon.json',
            style="yellow",
        )

    def _prepare_store(self, file: StackFile, vault: Vault) -> dict[str, str]:
        """Have InfluxDB up and set up; return the services' tokens for it, which it chose."""
        if "influxdb" not in self.observer.services():
            readiness = Readiness(self.observer, self.console, self.settings.ready_seconds)
            file.deploy_only(self.docker, self.settings.stack, "influxdb")
            readiness.wait_for(["influxdb"])
        tokens = self.exchange(vault)
        for name, token in tokens.items():
            vault.keep(f"{name}-token", token)
        return tokens

    def exchange(self, vault: Vault, **wanted: bool) -> dict[str, str]:
        """Let the set-up make InfluxDB ready, in a container without a log; return the tokens."""
        known = {name: vault.find(f"{name}-token") for name in TOKENS}
        asked = {
            "operator_token": vault.get(OPERATOR_TOKEN),
            "admin_password": vault.get(_ADMIN_PASSWORD),
            "tokens": {name: token for name, token in known.items() if token},
            **wanted,
        }
        answer = self.oneoff.run(
            "setup",
            "exchange",
            stdin=msgspec.json.encode(asked).decode() + "\n",
            variables=[
                "SETUP_URL=http://influxdb:8086",
                f"SETUP_RETENTION_DAYS={self.settings.retention_days}",
            ],
        )
        made = msgspec.json.decode(answer, type=_Exchanged)
        if made.operator_token:
            vault.keep(OPERATOR_TOKEN, made.operator_token)
        for change in made.changes:
            self._say("influxdb:", change)
        return made.tokens

    def _start(self, file: StackFile, materials: Materials, tokens: dict[str, str]) -> None:
        secrets = {**materials.secrets, **{f"{name}-token": tokens[name] for name in TOKENS}}
        variables = self._objects.put("secret", secrets)
        variables |= self._objects.put("config", materials.configs)
        readiness = Readiness(self.observer, self.console, self.settings.ready_seconds)
        file.deploy(self.docker, self.settings.stack, variables)
        readiness.wait_for()

    def _print_addresses(self, vault: Vault, materials: Materials) -> None:
        settings = self.settings
        host = settings.hosts.split()[0]
        ca = settings.folder / "ca.pem"
        ca.write_text(materials.authority, encoding="utf-8")
        for line in (
            f"API      https://{host}:{settings.https_port}/         key: {vault.path('api-key')}",
            f"Grafana  https://{host}:{settings.https_port}/grafana/ user admin, password: "
            f"{vault.path('grafana-password')}",
            f"devices  {host}:{settings.mqtt_port}, MQTT 5 over TLS; a device's password: "
            f"python -m broker password DEVICE --fleet-key-file {vault.path('fleet-key')}",
            f"all of them show a certificate of {ca}",
        ):
            self.console.print(line, soft_wrap=True, highlight=False)

    def _say(self, *words: object) -> None:
        self.console.print("·", *words, soft_wrap=True, highlight=False)


class _Exchanged(msgspec.Struct, frozen=True):
    tokens: dict[str, str]
    changes: list[str]
    operator_token: str = ""
