"""Whole runs to compare with each other; a clean one is made once."""

from __future__ import annotations

from collections.abc import Sequence

from faults.data import Feed, feed
from faults.oracle import Facts, assert_same, assert_true, facts
from faults.scenario import DRAIN, Op, play
from faults.world import Shape, World

_clean: dict[int, Facts] = {}


async def clean(sent: Feed) -> Facts:
    """A single process, no fault."""
    found = _clean.get(id(sent))
    if found is None:
        world = World(Shape())
        world.publish(sent.messages)
        await world.drain(sent.end)
        found = _clean[id(sent)] = facts(world)
        assert_true(found, sent)
        assert not found.backfilled
        assert {b"error:rate" in body for body in found.signals.values()} == {True, False}, "no alarm to lose"
    return found


async def survive(ops: Sequence[Op], shape: Shape | None = None, sent: Feed | None = None) -> World:
    """Play `ops` over the whole feed, fold the rest, and ask the oracle."""
    sent = sent or feed()
    expected = await clean(sent)
    world = World(shape)
    world.publish(sent.messages)
    await play(world, ops)
    await DRAIN(sent.end).do(world)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, expected)
    return world
