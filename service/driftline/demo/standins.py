"""Stand-ins for Slack and PagerDuty on the loopback: they take what they are sent, and keep it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SLACK_PATH: Final = "/services/T0DEMO/B0DEMO/not-a-secret"
ROUTING_KEY: Final = "demo0demo0demo0demo0demo0demo000"
STOP_S: Final = 3.0

Payload = dict[str, Any]


class _Server(uvicorn.Server):
    """uvicorn takes over SIGINT and SIGTERM; they are not its own here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class StandIns:
    """For `async with`. `slack`: messages in the order of their arrival; `pagerduty`: events."""

    def __init__(self) -> None:
        self.slack: list[Payload] = []
        self.pagerduty: list[Payload] = []
        self.port = 0

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{SLACK_PATH}"

    @property
    def pagerduty_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> StandIns:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app(), log_config=None, access_log=False, lifespan="off", ws="none")
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="stand-ins")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await asyncio.wait([self._task], timeout=STOP_S)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=STOP_S)

    def _app(self) -> Starlette:
        async def slack(request: Request) -> Response:
            self.slack.append(orjson.loads(await request.body()))
            return PlainTextResponse("ok")

        async def pagerduty(request: Request) -> Response:
            event = orjson.loads(await request.body())
            self.pagerduty.append(event)
            said = {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key")}
            return JSONResponse(said, 202)

        post = ["POST"]
        return Starlette(
            routes=[
                Route(SLACK_PATH, slack, methods=post),
                Route("/v2/enqueue", pagerduty, methods=post),
                Route("/v2/change/enqueue", pagerduty, methods=post),
            ]
        )
