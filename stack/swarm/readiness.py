"""Waiting until services are ready, with progress, and with the reason for what is not."""

import time
from collections.abc import Iterable

from rich.console import Console

from stack.swarm import NotReady
from stack.swarm.observation import Observer, ServiceState

_LOOK_SECONDS = 0.5


class Readiness:
    """Knows which updates had failed before it was made, and waits for all that come after."""

    def __init__(self, observer: Observer, console: Console, ready_seconds: float) -> None:
        self._observer = observer
        self._console = console
        self._ready_seconds = ready_seconds
        self._known = {name: state.update_began for name, state in observer.services().items()}

    def wait_for(self, names: Iterable[str] | None = None) -> None:
        """Wait until these services (None: all) are ready; NotReady says what is not, and why."""
        wanted = None if names is None else set(names)
        began_s = time.monotonic()
        said: set[str] = set()
        with self._console.status("waiting for services") as status:
            while True:
                states = self._look(wanted)
                missing = [state for state in states if not state.ready]
                for state in states:
                    if state.ready and state.name not in said:
                        said.add(state.name)
                        elapsed_s = time.monotonic() - began_s
                        self._console.print(f"  {state.line} after {elapsed_s:.0f} s")
                if not missing and len(said) >= len(wanted or ()):
                    return
                if time.monotonic() - began_s > self._ready_seconds:
                    raise NotReady(self._report(missing))
                status.update("waiting for " + ", ".join(state.line for state in missing))
                time.sleep(_LOOK_SECONDS)

    def _look(self, wanted: set[str] | None) -> list[ServiceState]:
        states = [
            state
            for name, state in self._observer.services().items()
            if wanted is None or name in wanted
        ]
        for state in states:
            if state.update_failed and state.update_began != self._known.get(state.name, ""):
                raise NotReady(self._rolled_back(state))
        return states

    def _rolled_back(self, state: ServiceState) -> str:
        back = "it runs as before" if state.update == "rollback_completed" else state.update
        return f"the update of {state.name} failed, {back}: {state.update_message}"

    def _report(self, missing: list[ServiceState]) -> str:
        lines = [f"not ready within {self._ready_seconds:g} s:"]
        for state in missing:
            lines.append(f"  {state.line}")
            lines += [f"    {line}" for line in self._observer.last_words(state.name).splitlines()]
        return "\n".join(lines)
