"""The senders of all receivers, of which a reload may put others in their place while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol


class Runs(Protocol):
    """A sender (`sender.py`)."""

    async def run(self) -> None:
        """Until cancelled; what it has in hand then is finished before it returns."""
        ...


class Senders:
    """One a receiver at any time: the next one of a name begins when the former has finished what it had in hand, so a
    notification is not told twice because of a reload."""

    def __init__(self, senders: Mapping[str, Runs]) -> None:
        self._senders = dict(senders)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, set[asyncio.Task[None]]] = {}
        self._replaced = asyncio.Event()
        self._running = False

    async def run(self) -> None:
        """Until cancelled. Raises what has ended a sender."""
        self._running = True
        try:
            self._start()
            while True:
                self._replaced.clear()
                replaced = asyncio.create_task(self._replaced.wait())
                await asyncio.wait({replaced, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
                replaced.cancel()
                for task in self._tasks.values():
                    if task.done():
                        task.result()
        finally:
            self._running = False
            await _ended({*self._tasks.values(), *(task for tasks in self._leaving.values() for task in tasks)})
            self._tasks.clear()

    def replace(self, senders: Mapping[str, Runs]) -> None:
        """These, and no others. One that is here already goes on undisturbed. Never waits."""
        former, self._senders = self._senders, dict(senders)
        if not self._running:
            return
        for name, task in list(self._tasks.items()):
            if self._senders.get(name) is not former[name]:
                task.cancel()
                leaving = self._leaving.setdefault(name, set())
                leaving.add(task)
                task.add_done_callback(leaving.discard)
                del self._tasks[name]
        self._leaving = {name: leaving for name, leaving in self._leaving.items() if leaving}
        self._start()
        self._replaced.set()

    def _start(self) -> None:
        for name, sender in self._senders.items():
            if name not in self._tasks:
                # All of them: the one before may itself still wait for its own, and a name may have been gone for a
                # moment.
                leaving = frozenset(self._leaving.get(name, ()))
                self._tasks[name] = asyncio.create_task(_after(leaving, sender))


async def _after(leaving: frozenset[asyncio.Task[None]], sender: Runs) -> None:
    if leaving:
        await asyncio.wait(leaving)
    await sender.run()


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
