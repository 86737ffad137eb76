"""What there is to change, found before anything is; then done, or undone to the last step."""

import difflib
import json
from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from stack.grafana import GrafanaError, NameTaken
from stack.grafana.server import GrafanaServer, Json, Saved, Source
from stack.grafana.settings import GrafanaSettings
from stack.grafana.wanted import Wanted, secrets_of

_COMPARED = ("url", "access", "name", "type")
_OF_GRAFANA = ("id", "version")


class Change(Struct, frozen=True):
    """One thing to make (`+`) or to write (`~`), how, and how to have it as it was."""

    sign: str
    what: str
    apply: Callable[[], None]
    undo: Callable[[], None]
    difference: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


class Pusher:
    """Compares a Grafana with what it shall hold."""

    def __init__(self, server: GrafanaServer, wanted: Wanted, settings: GrafanaSettings) -> None:
        self._server = server
        self._wanted = wanted
        self._settings = settings

    def changes(self) -> list[Change]:
        """Return what `push` would do. Raises NameTaken and GrafanaError; nothing is done."""
        self._server.check()
        return [*self._folder(), *self._sources(), *self._dashboards()]

    def push(self) -> list[Change]:
        """Do what is to be done; where a step is refused, the steps before it are undone."""
        for source in self._wanted.sources:
            secrets_of(source, self._settings)  # without a token nothing is begun
        changes = self.changes()
        done: list[Change] = []
        try:
            for change in changes:
                change.apply()
                done.append(change)
        except GrafanaError as error:
            left = [str(one) for one in reversed(done) if not _undone(one)]
            kept = f"; could not be undone: {', '.join(left)}" if left else "; nothing was changed"
            raise GrafanaError(f"{error} at {changes[len(done)].what}{kept}") from error
        return changes

    def _folder(self) -> Iterator[Change]:
        folder = self._wanted.folder
        for found in self._server.folders():
            if found.uid == folder.uid:
                return
            if found.title == folder.title:
                raise NameTaken(f"the folder {found.title!r} is there with the uid {found.uid!r}")
        yield Change(
            "+",
            f"folder {folder.title}",
            partial(self._server.create_folder, folder),
            partial(self._server.delete_folder, folder.uid),
        )

    def _sources(self) -> Iterator[Change]:
        there = {source.uid: source for source in self._server.sources()}
        names = {source.name: source for source in there.values()}
        for source in self._wanted.sources:
            taken = names.get(source["name"])
            if taken is not None and taken.uid != source["uid"]:
                raise NameTaken(f"the data source {taken.name!r} is there with uid {taken.uid!r}")
            change = self._source(source, there.get(source["uid"]))
            if change is not None:
                yield change

    def _source(self, source: Json, found: Source | None) -> Change | None:
        what, server = f"data source {source['name']}", self._server

        def with_secret() -> Json:
            return {**source, "secureJsonData": secrets_of(source, self._settings)}

        if found is None:

            def make() -> None:
                server.create_source(with_secret())

            return Change("+", what, make, partial(server.delete_source, source["uid"]))
        before = {**source, **{name: getattr(found, name) for name in _COMPARED}}
        before["jsonData"] = found.json_data or {}
        if before == source:
            return None
        if found.read_only:
            raise NameTaken(f"the data source {found.name!r} is provisioned there by files")

        def write() -> None:
            server.update_source(with_secret())

        undo = partial(server.update_source, before)
        return Change("~", what, write, undo, _difference(before, source))

    def _dashboards(self) -> Iterator[Change]:
        folder = self._wanted.folder.uid
        names = {one.title: one.uid for one in self._server.dashboards_in(folder)}
        for dashboard in self._wanted.dashboards:
            title, uid = dashboard["title"], dashboard["uid"]
            if names.get(title, uid) != uid:
                raise NameTaken(f"the dashboard {title!r} is there with the uid {names[title]!r}")
            change = self._dashboard(dashboard, self._server.dashboard(uid), folder)
            if change is not None:
                yield change

    def _dashboard(self, dashboard: Json, saved: Saved | None, folder: str) -> Change | None:
        what, uid, server = f"dashboard {dashboard['title']}", dashboard["uid"], self._server
        write = partial(server.save_dashboard, dashboard, folder, "denyut-grafana push")
        if saved is None:
            return Change("+", what, write, partial(server.delete_dashboard, uid))
        before = {name: value for name, value in saved.dashboard.items() if name not in _OF_GRAFANA}
        if (before, saved.meta.folder_uid) == (dashboard, folder):
            return None
        if saved.meta.provisioned:
            raise NameTaken(f"the dashboard {dashboard['title']!r} is provisioned there by files")
        undo = partial(
            server.save_dashboard, before, saved.meta.folder_uid, "denyut-grafana: undone"
        )
        return Change("~", what, write, undo, _difference(before, dashboard))


def _undone(change: Change) -> bool:
    try:
        change.undo()
    except GrafanaError:
        return False
    return True


def _difference(before: Json, after: Json) -> str:
    there, here = (_lines(one) for one in (before, after))
    return "\n".join(difflib.unified_diff(there, here, "there", "here", n=1, lineterm=""))


def _lines(one: Json) -> list[str]:
    return json.dumps(one, indent=1, sort_keys=True).splitlines()
