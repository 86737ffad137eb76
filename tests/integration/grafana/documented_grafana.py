"""A small server that keeps to Grafana's documented HTTP API, request by request.

https://grafana.com/docs/grafana/latest/developers/http_api/ : the requests that are asked for here,
the fields that they may have, the statuses and messages with which they are answered. A request
that the documentation does not have is answered with 404, a field that it does not have with 400.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_of-a-service-account"

Json = dict[str, Any]
Answer = tuple[int, Any]

_SOURCE_FIELDS = {
    "uid", "name", "type", "access", "url", "isDefault", "jsonData", "secureJsonData",
    "database", "user", "basicAuth", "basicAuthUser", "withCredentials",
}  # fmt: skip
_SAVE_FIELDS = {"dashboard", "folderUid", "folderId", "message", "overwrite", "refresh"}
_MARK_FIELDS = {"dashboardUID", "dashboardId", "panelId", "time", "timeEnd", "tags", "text"}


class DocumentedGrafana:
    """What it holds, what it was asked, and what a test makes it refuse."""

    def __init__(self) -> None:
        self.version = "12.1.1"
        self.token = TOKEN
        self.folders: dict[str, str] = {}
        self.sources: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.folder_of: dict[str, str] = {}
        self.provisioned: set[str] = set()
        self.marks: list[Json] = []
        self.asked: list[str] = []
        self.refused: dict[str, Answer] = {}
        self.url = ""

    @property
    def changed_by(self) -> list[str]:
        """The requests that were to change something."""
        return [one for one in self.asked if not one.startswith("GET")]

    def answer(self, method: str, target: str, token: str, body: Json) -> Answer:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.asked.append(f"{method} {path}")
        if path == "/api/health" and method == "GET":
            return 200, {"commit": "0", "database": "ok", "version": self.version}
        if token != f"Bearer {self.token}":
            return 401, {"message": "Invalid API key"}
        for pattern, refusal in self.refused.items():
            if re.fullmatch(pattern, f"{method} {path}"):
                return refusal
        for pattern, handle in self._routes().items():
            found = re.fullmatch(pattern, f"{method} {path}")
            if found:
                return handle(*found.groups(), query=query, body=body)
        return 404, {"message": "Not found"}

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        return {
            "GET /api/org": lambda **_: (200, {"id": 1, "name": "Main Org."}),
            "GET /api/folders": lambda **_: (200, [self._folder(uid) for uid in self.folders]),
            "POST /api/folders": self._make_folder,
            "DELETE /api/folders/([^/]+)": self._remove_folder,
            "GET /api/datasources": lambda **_: (200, [*map(self._source, self.sources)]),
            "POST /api/datasources": self._make_source,
            "PUT /api/datasources/uid/([^/]+)": self._write_source,
            "DELETE /api/datasources/uid/([^/]+)": self._remove_source,
            "GET /api/search": self._search,
            "GET /api/dashboards/uid/([^/]+)": self._read_dashboard,
            "POST /api/dashboards/db": self._save_dashboard,
            "DELETE /api/dashboards/uid/([^/]+)": self._remove_dashboard,
            "POST /api/annotations": self._mark,
        }

    def _folder(self, uid: str) -> Json:
        return {"id": 1, "uid": uid, "title": self.folders[uid]}

    def _make_folder(self, *, body: Json, **_: Any) -> Answer:
        if body.keys() - {"uid", "title", "parentUid"}:
            return 400, {"message": "bad request data"}
        if body["uid"] in self.folders:
            return 412, {"message": "a folder with the same uid already exists"}
        self.folders[body["uid"]] = body["title"]
        return 200, self._folder(body["uid"])

    def _remove_folder(self, uid: str, **_: Any) -> Answer:
        if self.folders.pop(uid, None) is None:
            return 404, {"message": "folder not found", "status": "not-found"}
        return 200, {"message": f"Folder {uid} deleted", "id": 1}

    def _source(self, uid: str) -> Json:
        """A secret is never told, only that there is one."""
        source = self.sources[uid]
        shown = {name: value for name, value in source.items() if name != "secureJsonData"}
        return {"readOnly": False, "database": "", "user": "", **shown, "id": 7, "orgId": 1}

    def _make_source(self, *, body: Json, **_: Any) -> Answer:
        if body.keys() - _SOURCE_FIELDS or not {"name", "type", "access"} <= body.keys():
            return 400, {"message": "bad request data"}
        taken = {source["name"] for source in self.sources.values()}
        if body["uid"] in self.sources or body["name"] in taken:
            return 409, {"message": "data source with the same name already exists"}
        self.sources[body["uid"]] = body
        return 200, {"datasource": self._source(body["uid"]), "message": "Datasource added"}

    def _write_source(self, uid: str, *, body: Json, **_: Any) -> Answer:
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        if body.keys() - _SOURCE_FIELDS:
            return 400, {"message": "bad request data"}
        kept = self.sources[uid].get("secureJsonData", {})
        self.sources[uid] = {**body, "secureJsonData": {**kept, **body.get("secureJsonData", {})}}
        return 200, {"datasource": self._source(uid), "message": "Datasource updated"}

    def _remove_source(self, uid: str, **_: Any) -> Answer:
        if self.sources.pop(uid, None) is None:
            return 404, {"message": "Data source not found"}
        return 200, {"message": "Data source deleted", "id": 7}

    def _search(self, *, query: dict[str, list[str]], **_: Any) -> Answer:
        assert query["type"] == ["dash-db"]
        wanted = query["folderUIDs"]
        return 200, [
            {"uid": uid, "title": one["title"], "type": "dash-db", "folderUid": self.folder_of[uid]}
            for uid, one in self.dashboards.items()
            if self.folder_of[uid] in wanted
        ]

    def _read_dashboard(self, uid: str, **_: Any) -> Answer:
        if uid not in self.dashboards:
            return 404, {"message": "Dashboard not found"}
        meta = {"folderUid": self.folder_of[uid], "provisioned": uid in self.provisioned}
        return 200, {"dashboard": self.dashboards[uid], "meta": meta}

    def _save_dashboard(self, *, body: Json, **_: Any) -> Answer:
        if body.keys() - _SAVE_FIELDS:
            return 400, {"message": "bad request data"}
        uid, before = body["dashboard"]["uid"], self.dashboards.get(body["dashboard"]["uid"])
        if uid in self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found", "status": "not-found"}
        if before is not None and not body.get("overwrite"):
            message = "The dashboard has been changed by someone else"
            return 412, {"message": message, "status": "version-mismatch"}
        version = 1 if before is None else before["version"] + 1
        self.dashboards[uid] = {**body["dashboard"], "id": 3, "version": version}
        self.folder_of[uid] = body["folderUid"]
        return 200, {"id": 3, "uid": uid, "status": "success", "version": version}

    def _remove_dashboard(self, uid: str, **_: Any) -> Answer:
        if self.dashboards.pop(uid, None) is None:
            return 404, {"message": "Dashboard not found"}
        return 200, {"title": uid, "message": f"Dashboard {uid} deleted", "id": 3}

    def _mark(self, *, body: Json, **_: Any) -> Answer:
        if body.keys() - _MARK_FIELDS or not isinstance(body["time"], int):
            return 400, {"message": "bad request data"}
        self.marks.append(body)
        return 200, {"message": "Annotation added", "id": len(self.marks)}


@contextmanager
def documented_grafana() -> Iterator[DocumentedGrafana]:
    """Serve one on a free port."""
    grafana = DocumentedGrafana()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            token = self.headers.get("Authorization", "")
            status, answer = grafana.answer(self.command, self.path, token, body)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the library names them

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        grafana.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield grafana
        server.shutdown()
        thread.join()
