"""A TCP proxy that loses answers, for the time-out after which nobody knows whether the call was served."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType


class Proxy:
    """Forwards 127.0.0.1:`port` to `target`; while `mute` is set, requests arrive and answers do not."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.mute = False

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(
                    self._copy(reader, upstream_writer, answers=False),
                    self._copy(upstream_reader, writer, answers=True),
                )
        finally:
            self._tasks.discard(task)
            for one in (writer, upstream_writer):
                one.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not (answers and self.mute):
                    writer.write(data)
                    await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
