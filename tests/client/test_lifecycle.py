"""Lifecycle events as trainers and deployers tell them."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from client.making import LIFECYCLE, NOW, World
from driftline.client import LifecycleReporter, announce
from driftline.client.lifecycle import MAX_DETAILS, flat
from driftline.errors import PublishRefused, Transient


async def test_what_is_told() -> None:
    world = World()
    async with LifecycleReporter("memory:1", clock=world.clock, connect=world.connect) as reporter:
        await reporter.registered("flights", "8", details={"by": "ci"})
        told = await reporter.deployed("flights", "8", request="r1")
        await reporter.rolled_back("flights", "8")
        await reporter.retired("flights", "7", time=NOW + 1)
    events = world.told()
    assert [e.what for e in events] == ["registered", "deployed", "rolled_back", "retired"]
    assert [e.version for e in events] == ["8", "8", "8", "7"]
    assert [e.time for e in events] == [NOW, NOW, NOW, NOW + 1]
    assert [e.request for e in events] == [None, "r1", None, None]
    assert events[1] == told
    assert events[0].details == {"by": "ci"}
    assert len({e.id for e in events}) == 4


async def test_the_same_told_again_is_the_same_event_and_later_it_is_another() -> None:
    world = World()
    async with LifecycleReporter("memory:1", clock=world.clock, connect=world.connect) as reporter:
        for time in (NOW, NOW, NOW + 1):
            await reporter.deployed("flights", "8", time=time)
    first, again, later = world.told()
    assert first.id == again.id != later.id


async def test_a_broker_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.errors += [Transient("away"), Transient("away")]
    async with LifecycleReporter("memory:1", connect=world.connect) as reporter:
        await reporter.retired("flights", "7")
    assert len(world.told()) == 1
    assert len(caplog.records) == 1


async def test_a_refusal_is_not_waited_for() -> None:
    world = World()
    world.log.refused.add(LIFECYCLE)
    async with LifecycleReporter("memory:1", connect=world.connect) as reporter:
        with pytest.raises(PublishRefused):
            await reporter.retired("flights", "7")


async def test_a_script_without_asyncio() -> None:
    world = World()
    event = await asyncio.to_thread(
        lambda: announce("memory:1", "deployed", "flights", "8", request="r1", connect=world.connect)
    )
    assert world.told() == [event]
    world.log.available = False

    def late() -> None:
        announce("memory:1", "deployed", "flights", "8", timeout=0.05, connect=world.connect)

    with pytest.raises(TimeoutError):
        await asyncio.to_thread(late)


def test_details_are_made_plain_and_bounded() -> None:
    assert flat(
        {
            "a": np.float64(0.5),
            "b": np.int64(3),
            "c": float("nan"),
            "d": None,
            "e": True,
            "f": [1],
            "g": "x" * 9_999,
        }
    ) == {"a": 0.5, "b": 3, "c": None, "d": None, "e": True, "f": "[1]", "g": "x" * 500}
    assert flat({"a": 2**70, "\ud800": "\ud800"}) == {"a": str(2**70), "\\ud800": "\\ud800"}
    assert len(flat({str(i): i for i in range(1_000)})) == MAX_DETAILS
