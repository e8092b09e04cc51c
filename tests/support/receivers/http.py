"""A receiver over real sockets that answers as a service would, and fails as it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from support.listener import Listener


@dataclass(frozen=True)
class Request:
    """One request as it came. `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Trouble = Reply | Literal["hang", "drip", "cut"]
"""`hang`: takes the request and never answers; `drip`: headers without end; `cut`: the service takes the request, and
the connection breaks before its answer."""


def busy(wait: str | None = None, status: int = 429) -> Reply:
    """429 (or another status), with `Retry-After` or without."""
    return Reply(status, b"busy", {} if wait is None else {"retry-after": wait})


class Service(Listener):
    """`answer` is the service. `trouble` comes first, one a request; `down` is for all of them until it is None,
    `down_at` for those whose path holds a word."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.trouble: deque[Trouble] = deque()
        self.down: Trouble | None = None
        self.down_at: dict[str, Trouble] = {}
        self._arrived = asyncio.Event()

    def answer(self, request: Request) -> Reply:
        return Reply()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def got(self, count: int) -> None:
        """Returns when so many requests have come."""
        async with asyncio.timeout(5):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split()
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
        request = Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        self.requests.append(request)
        self._arrived.set()
        trouble = self.trouble.popleft() if self.trouble else self.down
        trouble = next((self.down_at[word] for word in self.down_at if word in path), trouble)
        if trouble == "hang":
            await asyncio.Event().wait()
        if trouble == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(1_000):
                writer.write(b"x-more: to come\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        reply = trouble if isinstance(trouble, Reply) else self.answer(request)
        if trouble == "cut":
            return
        lines = [f"HTTP/1.1 {reply.status} Status", *(f"{n}: {v}" for n, v in reply.headers.items())]
        lines += [f"content-length: {len(reply.body)}", "connection: close", "", ""]
        writer.write("\r\n".join(lines).encode() + reply.body)
        await writer.drain()
