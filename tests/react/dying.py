"""`python -m react.dying POINT`: react as a process that kills itself, with SIGKILL, at a named point of the first
message that makes it say something, or of the first notification. Settings come from the environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from driftline.config import load
from driftline.react.notify.notification import Notification
from driftline.react.notify.sender import Sender
from driftline.react.worker import ReactWorker
from driftline.runtime.log import LogWriter, Outgoing
from driftline.runtime.store import Slot, Verdict, Write
from driftline.service import Service

POINTS: Final = ("before_commit", "before_publish", "after_publish")
SENDING: Final = ("before_send", "before_mark", "after_mark")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingWriter:
    """A `LogWriter`: dies around the first publishing of an alert."""

    def __init__(self, writer: LogWriter, point: str) -> None:
        self._writer = writer
        self._point = point

    async def publish(self, records: Sequence[Outgoing]) -> None:
        speaks = any(r.topic.endswith(".alerts") for r in records)
        if speaks and self._point == "before_publish":
            die()
        await self._writer.publish(records)
        if speaks and self._point == "after_publish":
            die()

    async def close(self) -> None:
        await self._writer.close()


async def main(point: str) -> None:
    service = Service(load(None).config, ["react"])
    store = service._store
    commit = store.commit

    async def dying(slot: Slot, write: Write) -> Verdict:
        if point == "before_commit" and write.outbox:
            die()
        return await commit(slot, write)

    store.commit = dying  # type: ignore[method-assign]
    service._writer = DyingWriter(service._writer, point)  # type: ignore[assignment]
    send, settle = Sender._try, ReactWorker.settle

    async def dying_send(sender: Sender, name: str, one: Notification) -> None:
        if point == "before_send":
            die()
        await send(sender, name, one)

    async def dying_mark(
        worker: ReactWorker, name: str, one: Notification, error: str | None, receipt: str | None
    ) -> None:
        if point == "before_mark":
            die()
        await settle(worker, name, one, error, receipt)
        if point == "after_mark":
            die()

    Sender._try = dying_send  # type: ignore[method-assign, assignment]
    ReactWorker.settle = dying_mark  # type: ignore[method-assign, assignment]
    await service.run()


if __name__ == "__main__":
    assert sys.argv[1] in POINTS + SENDING
    asyncio.run(main(sys.argv[1]))
