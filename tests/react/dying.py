"""`python -m react.dying POINT`: react as a process that kills itself, with SIGKILL, at a named point of the first
message that makes it say something. Settings come from the environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from driftline.config import load
from driftline.runtime.log import LogWriter, Outgoing
from driftline.runtime.store import Slot, Verdict, Write
from driftline.service import Service

POINTS: Final = ("before_commit", "before_publish", "after_publish")


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
    await service.run()


if __name__ == "__main__":
    assert sys.argv[1] in POINTS
    asyncio.run(main(sys.argv[1]))
