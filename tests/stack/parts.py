"""The images that are not ours: from a hub where one answers, else made here of Debian packages.

What is made here stays in the engine; only what has changed is made again.
"""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from stack.images import BASE, ImageBuilder
from stack.influxdb import find_influxd
from stack.swarm.docker import DockerError
from stack.swarm.settings import DeploySettings
from tests.stack.engine import EngineError

SUITE = "trixie"
_USUAL = DeploySettings()
# Tags of what is made here.
_NAMES = {
    "python": "denyut-test/python:3.13",
    "influxdb": "denyut-test/influxdb:2.9.1",
    "front": "denyut-test/haproxy:3.0",
}
_HUB = {
    "python": BASE,
    "influxdb": _USUAL.influxdb_image,
    "front": _USUAL.front_image,
    "grafana": _USUAL.grafana_image,
}
_HUB_SECONDS = 6.0
_PULL_SECONDS = 600.0
_BUILD_SECONDS = 600.0
_DEBIAN = "http://deb.debian.org/debian"
# Pip's settings of this machine that a build needs as well.
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
_HOST_AUTHORITIES = "/etc/host-ca.crt"
_INSTALL = "apt-get update -q && apt-get install -q -y --no-install-recommends"
_NO_CACHES = """Binary::apt::APT::Keep-Downloaded-Packages "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_RECIPES = {
    "python": f"""
RUN {_INSTALL} python3 python3-venv && rm -rf /var/lib/apt/lists/*
CMD ["python3"]
""",
    # Paths, user and command as in the official image.
    "influxdb": """
RUN install -d -o 1000 -g 1000 /var/lib/influxdb2 /etc/influxdb2
COPY influxd /usr/local/bin/influxd
ENV INFLUXD_BOLT_PATH=/var/lib/influxdb2/influxd.bolt INFLUXD_ENGINE_PATH=/var/lib/influxdb2/engine
VOLUME /var/lib/influxdb2
EXPOSE 8086
USER 1000:1000
CMD ["influxd"]
""",
    "front": f"""
RUN {_INSTALL} haproxy && rm -rf /var/lib/apt/lists/* && mkdir -p /usr/local/etc/haproxy
STOPSIGNAL SIGUSR1
USER 99:99
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
""",
}


class Parts(Struct, frozen=True):
    """The names of images: what ours stand on, and the parts beside ours."""

    python: str
    influxdb: str
    front: str
    grafana: str | None = None


def prepare_parts(docker: ImageBuilder, say: Callable[[str], None] = print) -> Parts:
    """Bring each part's image into the engine; Grafana's is None where no hub has it for us."""
    with ThreadPoolExecutor(len(_HUB)) as pool:
        asked = {part: pool.submit(_fetched, docker, name) for part, name in _HUB.items()}
    names = {part: name for part, found in asked.items() if (name := found.result())}
    missing = [part for part in _RECIPES if part not in names]
    if missing:
        debian = _debian(docker, say)
        names |= {part: _made(docker, part, debian, say) for part in missing}
    return Parts(**names)


def _fetched(docker: ImageBuilder, name: str) -> str | None:
    """Return the name of an image of a hub, which is here now; None where no hub answers soon."""
    try:
        if not docker.exists("image", name):
            docker.run("manifest", "inspect", name, timeout_seconds=_HUB_SECONDS)
            docker.run("pull", "--quiet", name, timeout_seconds=_PULL_SECONDS)
    except DockerError:
        return None
    return name


def _made(docker: ImageBuilder, part: str, debian: str, say: Callable[[str], None]) -> str:
    recipe = f"FROM {debian}\n{_RECIPES[part]}"
    program = find_influxd() if part == "influxdb" else None
    name = _name(_NAMES[part], recipe, program and program.stat().st_mtime_ns)
    if docker.exists("image", name):
        return name
    say(f"making {name}")
    with tempfile.TemporaryDirectory(prefix="denyut-context-") as context:
        if program:
            shutil.copy(program, context)
        docker.run(
            *("build", "--tag", name, "--file", "-", context),
            stdin=recipe,
            timeout_seconds=_BUILD_SECONDS,
        )
    return name


def _name(image: str, *made_of: object) -> str:
    """Return the name of what is made here; another one where it is made of something else."""
    return f"{image}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]}"


def _debian(docker: ImageBuilder, say: Callable[[str], None]) -> str:
    """Return the name of a small Debian with this machine's authorities and pip settings."""
    files = _host_files()
    name = _name(f"denyut-test/debian:{SUITE}", sorted(files.items()))
    if not docker.exists("image", name):
        say(f"no hub has images for us: making {name} from Debian's packages")
        with tempfile.TemporaryDirectory(prefix="denyut-debian-") as folder:
            root, archive = Path(folder, "root"), Path(folder, "root.tar")
            _bootstrap(root)
            for path, text in files.items():
                target = root / path.removeprefix("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            (root / "usr/sbin/policy-rc.d").chmod(0o755)
            _run(["tar", "-C", str(root), "-cf", str(archive), "."])
            docker.run("import", str(archive), name, timeout_seconds=_BUILD_SECONDS)
    return name


def _bootstrap(root: Path) -> None:
    # In a name space of its own, so that its mounts are gone with it.
    _run(
        ["unshare", "--mount", "debootstrap", "--variant=minbase", SUITE, str(root), _mirror()],
    )
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / folder)
        (root / folder / "partial").mkdir(parents=True)


def _host_files() -> dict[str, str]:
    """Return the files, by path, that let builds here reach what this machine reaches."""
    files = {
        "/usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
        "/etc/apt/apt.conf.d/90no-caches": _NO_CACHES,
    }
    settings = _pip_settings()
    bundle = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    if bundle.is_file():
        # Not at its usual path, which the package ca-certificates would write anew.
        files[_HOST_AUTHORITIES] = bundle.read_text(encoding="utf-8")
        files["/etc/apt/apt.conf.d/90host-ca"] = f'Acquire::https::CAInfo "{_HOST_AUTHORITIES}";\n'
        settings["cert"] = _HOST_AUTHORITIES
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    files["/etc/pip.conf"] = f"[global]\n{lines}"
    return files


def _pip_settings() -> dict[str, str]:
    listed = _run([sys.executable, "-m", "pip", "config", "list"])
    found = re.findall(r"^(?:global|install|:env:)\.([a-z-]+)=(.+)$", listed, re.MULTILINE)
    return {name: ast.literal_eval(value) for name, value in found if name in _PIP_SETTINGS}


def _mirror() -> str:
    """Return whence this machine itself takes Debian's packages."""
    shown = "$(SUITE) $(COMPONENT) $(REPO_URI)"
    try:
        listed = _run(["apt-get", "indextargets", "--format", shown, "Origin: Debian"])
    except EngineError:
        return _DEBIAN
    found = re.findall(r"^\S+ main (\S+?/debian)/?$", listed, re.MULTILINE)
    return found[0] if found else _DEBIAN


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise EngineError("\n".join([*last, f"{command[0]} failed"]))
    return done.stdout
