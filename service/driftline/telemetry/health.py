"""`/metrics`, `/healthz` and `/readyz`, served from the stages' own event loop: if that is blocked, they fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from driftline.errors import Misconfigured
from driftline.telemetry.logs import log
from driftline.telemetry.metrics import CONTENT_TYPE, Metrics
from driftline.telemetry.progress import Progress, Readiness

STOP_S = 3.0


class _Server(uvicorn.Server):
    """uvicorn takes over SIGINT and SIGTERM; they belong to whoever runs the stages."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HealthServer:
    """Serves until `stop`. GET and HEAD only; no request is read beyond its headers; nothing is logged of it.

    * `/metrics`: Prometheus text.
    * `/healthz`: 200 while every stage gets on, else 503 with the stages that do not.
    * `/readyz`: 200 when every condition is met, else 503 with those that are not.
    """

    def __init__(self, host: str, port: int, metrics: Metrics, progress: Progress, readiness: Readiness) -> None:
        self._host, self._port = host, port
        self._metrics, self._progress, self._readiness = metrics, progress, readiness
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen and serve; the port in fact (one that was free, if 0 was asked). Misconfigured if taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=64)
        except OSError as error:
            raise Misconfigured(
                f"runtime.http: cannot listen on {self._host}:{self._port} ({error.strerror}). "
                "Choose another runtime.http.port, or 0 for a free one."
            ) from error
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app(),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            limit_concurrency=64,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="health")
        self._task.add_done_callback(self._ended)
        log("http.listening", address=f"http://{self._host}:{port}")
        return port

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._server is not None and not self._server.should_exit:
            log("http.failed", error=None if task.cancelled() else task.exception())

    async def stop(self) -> None:
        """Answer what is in hand, then close. At most 3 s; calling it twice, or unstarted, does nothing."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._task], timeout=STOP_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_S)
        self._server = self._task = None

    async def __aenter__(self) -> HealthServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _app(self) -> Starlette:
        async def metrics(request: Request) -> Response:
            return Response(self._metrics.render(), headers={"content-type": CONTENT_TYPE})

        async def healthz(request: Request) -> Response:
            stalled = self._progress.stalled()
            body: dict[str, Any] = {
                "healthy": not stalled,
                "seconds_since_progress": {s: round(age, 1) for s, age in self._progress.ages().items()},
            }
            if stalled:
                body["stalled"] = [stall.stage for stall in stalled]
            return JSONResponse(body, 503 if stalled else 200)

        async def readyz(request: Request) -> Response:
            ready = self._readiness.ready
            body = {"ready": ready, "conditions": self._readiness.conditions()}
            return JSONResponse(body, 200 if ready else 503)

        return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)])
