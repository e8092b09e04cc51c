"""What a tick says: how far event time had come one tick ago, and what judge knows now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from driftline.contracts.reactions import Fact
from driftline.errors import Transient
from driftline.react.app import AppSettings, ReactApp
from driftline.react.core import Question
from driftline.react.topics import Topics
from driftline.runtime.kafka import KafkaSettings


class Worker:
    """Remembers its ticks."""

    active = True

    def __init__(self) -> None:
        self.ticks: list[tuple[int, list[Fact]]] = []

    def questions(self) -> list[Question]:
        return [Question("m", "1")]

    async def tick(self, closed: int, facts: list[Fact]) -> bool:
        self.ticks.append((closed, facts))
        return True


class Judged:
    """`closed` answers one by one; None: the store is away."""

    def __init__(self, *closed: int | None) -> None:
        self._closed = list(closed)

    async def closed(self) -> int | None:
        if (now := self._closed.pop(0)) is None:
            raise Transient("away")
        return now

    async def facts(self, asked: Sequence[Question]) -> list[Fact]:
        return [Fact(model=one.model, version=one.version, labelled=True) for one in asked]


async def test_a_tick_never_overtakes_the_signals_of_its_time() -> None:
    """A signal is published after the state that says so: at the next tick it has been read.

    Mutation: tick with what `closed` answers now."""
    worker, judged = Worker(), Judged(10, 20, None, 30, 40)
    app = ReactApp(
        AppSettings("g"), KafkaSettings("nowhere:1"), Topics(), cast(Any, worker), judged, cast(Any, None)
    )
    for _ in range(5):
        await app._tick()
    assert [closed for closed, _ in worker.ticks] == [10, 20, 30]
    assert worker.ticks[0][1] == [Fact(model="m", version="1", labelled=True)]
