"""The end of a process that runs stages: in order where that can be had, in bounded time in any case."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from driftline.telemetry import log

GRACE_S: Final = 10.0
"""The time to finish the work in hand."""
CLOSING_S: Final = 2.0
"""The time to leave the groups, for a stage that has not finished, and once more to close what the stages shared."""
LAST_S: Final = GRACE_S + 2 * CLOSING_S
"""The end, wherever the process stands. Orchestrators usually kill after 30 s."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Running(Protocol):
    """A stage while it runs."""

    @property
    def waiting(self) -> frozenset[int]:
        """Partitions that are assigned and not taken over yet."""
        ...

    async def run(self) -> None: ...

    def stop(self) -> None: ...


async def run_until_stopped(stages: Sequence[Running]) -> None:
    """Run `stages` until a signal asks for the end, or until one of them ends; then stop the others.

    Raises what has ended a stage. Returns, or raises, within `GRACE_S` and `CLOSING_S` of the stop; the process has
    ended `LAST_S` after it at the latest, also if a thread or the event loop hangs. A second signal ends it at once.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        asked.set()
        for name in _SIGNALS:
            loop.remove_signal_handler(name)
            signal.signal(name, signal.SIG_DFL)

    for name in _SIGNALS:
        loop.add_signal_handler(name, ask)
    tasks = [asyncio.create_task(stage.run()) for stage in stages]
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    log("service.stopping")
    _end_at_last(0 if asked.is_set() else 1)
    waiting.cancel()
    for stage in stages:
        stage.stop()
    _, late = await asyncio.wait(tasks, timeout=GRACE_S)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CLOSING_S)
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _end_at_last(code: int) -> None:
    # A thread, because the event loop waits for every task and every thread of its pool before it ends.
    last = threading.Timer(LAST_S, os._exit, [code])
    last.daemon = True
    last.start()
