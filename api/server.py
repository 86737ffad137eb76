"""The API under gunicorn: one worker with threads, started and stopped by this process."""

import logging
import math
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger as GunicornLogger

from api.draining import DrainingWorker
from api.settings import ApiSettings
from api.wiring import RunningApi

_FINISH_SECONDS = 10
_STORE_SLACK_SECONDS = 5
# Longer than a proxy in front keeps an idle connection: the one who sends next is to close it.
_KEEPALIVE_SECONDS = 75
_IDLE_CONNECTIONS = 1_000


class Server(BaseApplication):  # type: ignore[misc]
    """Serves the API until SIGTERM, and then for the drain's time (api/draining.py).

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
        settings = self._settings
        host = settings.http_host
        threads = settings.server_threads
        given: dict[str, Any] = {
            "bind": f"[{host}]:{self._settings.http_port}"
            if ":" in host
            else f"{host}:{self._settings.http_port}",
            "workers": 1,
            "worker_class": DrainingWorker,
            "threads": threads,
            # Connections that only wait are no threads, and are not to keep a stream from opening.
            "worker_connections": threads + _IDLE_CONNECTIONS,
            "keepalive": _KEEPALIVE_SECONDS,
            # For how long the worker is waited for: one second more than it takes at most.
            "graceful_timeout": math.ceil(self._settings.drain_seconds) + self.finish_seconds + 1,
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

    @property
    def finish_seconds(self) -> int:
        """How long a started request may take once no more are accepted."""
        slowest = math.ceil(self._settings.store_timeout_seconds) + _STORE_SLACK_SECONDS
        return max(_FINISH_SECONDS, slowest)

    def begin_drain(self) -> float:
        """Deny readiness from now on, and return for how many seconds to go on serving."""
        if self._running is None:
            return 0.0
        self._running.drain.begin()
        return self._settings.drain_seconds

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
