"""Rows that wait for a reference: the earliest, whatever came first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.judge.waiting import Waiting
from driftline.stats.rows import Column, Rows
from faults.extra import stream, tallies
from faults.oracle import facts
from faults.world import Shape, World

N = 6_000


def rows_of(numbers: list[int]) -> Rows:
    at = np.array(numbers, np.int64)
    return Rows(at // 3, at.astype(np.uint64), {"x": Column(at.astype(np.float64))})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(order=st.permutations(range(40)), size=st.integers(1, 9), most=st.integers(1, 45))
def test_the_earliest_rows_are_kept_whatever_came_first(order: list[int], size: int, most: int) -> None:
    """Mutation: drop the newcomers."""
    waiting, dropped = Waiting(), 0
    gone: list[str] = []
    for i in range(0, 40, size):
        out, names = waiting.add(f"chunk {i}", rows_of(order[i : i + size]), most)
        dropped, gone = dropped + out, gone + names
    kept = sorted(int(x) for rows in waiting.rows for x in rows.ids)
    assert kept == list(range(min(most, 40)))
    assert dropped == 40 - len(kept)
    stored = {f"chunk {i}" for i in range(0, 40, size)} - set(gone)
    assert {name for name, _ in waiting.parts} == stored
    read = Waiting([(f"chunk {i}", rows_of(order[i : i + size])) for i in range(0, 40, size)], waiting.until)
    read.forget_late()
    assert sorted(int(x) for rows in read.rows for x in rows.ids) == kept


@pytest.mark.parametrize("first", [0, 1])
async def test_a_backlog_read_partition_after_partition_learns_the_same_reference(first: int) -> None:
    """More than 16 times the reference comes from one partition before the other is read at all.
    Mutation: as above."""
    shape = Shape(partitions=2, blocks=1, max_batch=150)
    messages = [replace(m, route=f"={i % 2}") for i, m in enumerate(stream(N))]
    clean = World(shape)
    clean.publish(messages)
    await clean.drain()
    world = World(shape)
    for partition in (first, 1 - first):
        world.publish([m for m in messages if m.route == f"={partition}"])
        await world.quiet()
    await world.drain()
    assert tallies(clean, "m")["onboarding_overflow"] == 0
    assert tallies(world, "m")["onboarding_overflow"] > 0
    assert facts(world).profiles == facts(clean).profiles
