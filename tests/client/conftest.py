"""A log in memory as the broker, and subscribers on it that are closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from client.making import NOW, World
from client.subscribing import Make
from driftline.client import RetrainingSubscriber
from driftline.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock)


@pytest.fixture
async def make(world: World) -> AsyncIterator[Make]:
    made: list[RetrainingSubscriber] = []

    def subscriber(job: str = "train", **options: Any) -> RetrainingSubscriber:
        made.append(RetrainingSubscriber("memory:1", job=job, clock=world.clock, connect=world.connect, **options))
        return made[-1]

    yield subscriber
    for each in made:
        await each.close()
