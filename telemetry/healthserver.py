"""The small HTTP server that shows an asyncio service's health, readiness and metrics."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from telemetry.exposition import CONTENT_TYPE, exposition
from telemetry.health import Check, readiness
from telemetry.metrics import Samples

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serve_health(
    service: str,
    listening: socket.socket,
    *,
    checks: Mapping[str, Check],
    samples: Samples,
    routes: Mapping[str, Handler] | None = None,
) -> AsyncIterator[int]:
    """Serve /healthz, /readyz, /metrics and more GET `routes`; yield the port."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        ready, words = readiness(checks)
        return web.json_response({"ready": ready, "checks": words}, status=200 if ready else 503)

    async def metrics_page(_request: web.Request) -> web.Response:
        body = exposition(service, samples)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    handlers = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics_page, **(routes or {})}
    application.add_routes([web.get(path, handler) for path, handler in handlers.items()])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
