"""A TCP proxy that loses answers, for the time-out after which nobody knows whether the call was served."""

from __future__ import annotations

import asyncio
import contextlib

from support.listener import Listener


class Proxy(Listener):
    """Forwards 127.0.0.1:`port` to `target`; while `mute` is set, requests arrive and answers do not."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self.mute = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(
                    self._copy(reader, upstream_writer, answers=False),
                    self._copy(upstream_reader, writer, answers=True),
                )
        finally:
            upstream_writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not (answers and self.mute):
                    writer.write(data)
                    await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
