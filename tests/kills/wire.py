"""A worker's way to the store that can be cut at one write: before the store has it, or after it was applied."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from driftline.runtime.redis_client import scripts
from support.listener import Listener

Where = Literal["before", "after"]


class Wire(Listener):
    """Forwards 127.0.0.1:`port` to the store. `cut` waits for the next compare-and-set of whoever is connected;
    from then on calls ("before") or answers ("after") are held back until `mend`; those are lost at its end."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self._needle = scripts()["commit"].sha.encode()
        self._cut: Where | None = None
        self._calls_flow, self._answers_flow = asyncio.Event(), asyncio.Event()
        self._words: tuple[bytes, ...] = ()
        self._caught = self._answered = False
        self.mend()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self, where: Where, speaking_of: str = "") -> None:
        """At the next write: "before" the store has it, or "after" it was applied and before that is known.
        `speaking_of`: only at one that holds this text, such as a topic that its outbox is for."""
        self._cut, self._words = where, (self._needle, speaking_of.encode())

    def caught(self) -> bool:
        """Whether that write has come."""
        return self._caught

    def answered(self) -> bool:
        """Whether the store has said something after that."""
        return self._answered

    def mend(self) -> None:
        """What was held back goes on."""
        self._cut = None
        self._calls_flow.set()
        self._answers_flow.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._calls(reader, store_writer), self._answers(store_reader, writer))
        finally:
            store_writer.close()

    async def _calls(self, reader: asyncio.StreamReader, store: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self._cut is not None and all(word in data for word in self._words):
                    if self._cut == "before":
                        self._calls_flow.clear()
                        self._caught = True
                    else:
                        self._answers_flow.clear()
                await self._calls_flow.wait()
                store.write(data)
                await store.drain()
        with contextlib.suppress(OSError):
            store.write_eof()

    async def _answers(self, store: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await store.read(65_536):
                if not self._answers_flow.is_set():
                    self._caught = True
                await self._answers_flow.wait()
                self._answered = self._caught
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
