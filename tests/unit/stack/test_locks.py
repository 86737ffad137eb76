import re
from configparser import ConfigParser

import pytest

from stack.process import ROOMS

_PIN = re.compile(
    r"^([a-z0-9][a-z0-9.-]*)==([^ ;]+)(?: ; [^\\]+)? \\\n((?:    --hash=.*\n)+)", re.M
)
_SERVICES = ["broker", "sensors", "ingest", "api", "setup", "loadtest"]
_LOCKS = ["runtime", "dev", "lock", *_SERVICES]


def _text(name: str) -> str:
    return (ROOMS / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    return {package: version for package, version, _hashes in _PIN.findall(_text(name))}


def _asked(*extras: str) -> set[str]:
    setup = ConfigParser()
    setup.read(ROOMS / "setup.cfg")
    texts = [setup["options"]["install_requires"]]
    texts += [setup["options.extras_require"][extra] for extra in extras]
    return {re.split(r"[<>=!~\[; ]", line)[0] for line in "\n".join(texts).split("\n") if line}


@pytest.mark.parametrize("name", _LOCKS)
def test_every_package_of_a_lock_is_pinned_by_hash(name: str) -> None:
    packages = [line for line in _text(name).splitlines() if re.match(r"[a-z0-9]", line)]

    # One may stand there twice, for older and newer versions of Python.
    assert len(packages) == len(_PIN.findall(_text(name))) > 0


@pytest.mark.parametrize("name", _LOCKS)
def test_a_lock_names_no_index_and_no_path_of_a_machine(name: str) -> None:
    assert not re.search(
        r"://|--index|--extra-index|--find-links|file:|^ *# .*via -r /", _text(name)
    )


def test_the_development_lock_holds_the_runtimes_pins() -> None:
    assert _pins("runtime").items() <= _pins("dev").items()


def test_the_locks_hold_what_the_package_asks_for() -> None:
    assert _asked(*_SERVICES) | {"setuptools"} <= _pins("runtime").keys()
    assert _asked(*_SERVICES, "dev") <= _pins("dev").keys()


@pytest.mark.parametrize("service", _SERVICES)
def test_a_services_lock_holds_what_it_asks_for_at_the_runtimes_pins(service: str) -> None:
    extras = ["database"] if service in ("ingest", "sensors") else []
    assert _asked(service, *extras) <= _pins(service).keys()
    assert _pins(service).items() <= _pins("runtime").items()


@pytest.mark.parametrize("service", _SERVICES)
def test_a_services_lock_brings_no_build_tools_into_its_image(service: str) -> None:
    assert not _pins(service).keys() & {"pip", "pbr", "setuptools", "wheel", "uv"}
