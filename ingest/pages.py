"""The pages of ingest: health, readiness, metrics, and its latencies as histograms."""

import socket
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from telemetry.health import Check
from telemetry.healthserver import serve_health
from telemetry.latency import Latencies
from telemetry.metrics import Samples


def serve(
    listening: socket.socket, checks: Mapping[str, Check], samples: Samples, latencies: Latencies
) -> AbstractAsyncContextManager[int]:
    """Serve the pages meanwhile; yields the port."""

    async def latency_page(_request: web.Request) -> web.Response:
        return web.json_response(latencies.encode())

    return serve_health(
        "ingest", listening, checks=checks, samples=samples, routes={"/latency": latency_page}
    )
