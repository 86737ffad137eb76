"""The API under gunicorn: one worker with threads, started and stopped by this process."""

import logging
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger as GunicornLogger

from api.settings import ApiSettings
from api.wiring import RunningApi

_STOP_SECONDS = 10


class Server(BaseApplication):  # type: ignore[misc]
    """Serves the API until SIGTERM.

    There is one worker, because own figures and the MQTT client id are a process's: more capacity
    is another replica with another client id. The parts are started in the worker: neither threads
    nor connections survive a fork.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._running: RunningApi | None = None
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings."""
        host = self._settings.http_host
        given: dict[str, Any] = {
            "bind": f"[{host}]:{self._settings.http_port}"
            if ":" in host
            else f"{host}:{self._settings.http_port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "graceful_timeout": _STOP_SECONDS,
            "logger_class": _Logger,
            "control_socket_disable": True,
            "worker_exit": self._stop,
        }
        for name, value in given.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Start the parts; called in the worker."""
        self._running = RunningApi.start(self._settings)
        return self._running.app

    def _stop(self, _arbiter: object, _worker: object) -> None:
        if self._running is not None:
            self._running.stop()


class _Logger(GunicornLogger):  # type: ignore[misc]
    """Leaves gunicorn's lines to the service's own log."""

    def setup(self, _cfg: Any) -> None:
        """Take no handlers of gunicorn's own."""
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)
        self.access_log.disabled = True
