"""Memory and Redis give the same answers to the same random story; in memory every pair is emitted exactly once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.runtime.memory_store import MemoryStore
from driftline.runtime.store import Half, JoinMode, Met
from runtime.stores import MemoryBench, RedisBench
from support.servers import AnyServers


@pytest.mark.connected
@pytest.mark.parametrize("seed", range(8))
async def test_redis_answers_as_memory_does(servers: AnyServers, seed: int) -> None:
    """Few keys and origins, so that every cell of the table of meetings is visited."""
    rng = random.Random(seed)
    memory, real = MemoryBench().client(), RedisBench(servers)
    clients = [real.client(), real.client()]
    try:
        for step in range(60):
            client, day = rng.choice(clients), step // 8 + rng.randrange(3)
            halves = []
            for _ in range(rng.choice([1, 3, 40])):
                side = rng.choice("PO")
                origin, key = rng.randrange(3), b"k%d" % rng.randrange(12)
                halves.append(
                    Half(side, key, origin, b"%s%d" % (side.encode(), origin), JoinMode(rng.choice([0, 0, 1, 2])))
                )
            assert await client.join(day, halves) == await memory.join(day, halves)
            if rng.random() < 0.1:
                await client.expire(day - 2)
                await memory.expire(day - 2)
            assert await client.join_totals() == await memory.join_totals()
    finally:
        await real.close()


@given(st.data())
async def test_each_pair_is_emitted_by_one_half_under_any_replay(data: st.DataObject) -> None:
    """After a crash the story is told again from anywhere before it: a half that emitted emits again, no other."""
    count = data.draw(st.integers(1, 6))
    story = data.draw(st.permutations([Half(side, b"k%d" % i, i, b"p") for i in range(count) for side in "PO"]))
    store = MemoryStore()
    emitted: dict[tuple[str, bytes], bool] = {}
    done = 0
    for end in [*sorted(data.draw(st.lists(st.integers(1, len(story)), max_size=4))), len(story)]:
        begin = data.draw(st.integers(0, done))
        for half, meeting in zip(story[begin:end], await store.join(1, story[begin:end]), strict=True):
            paired = meeting.met is Met.PAIRED
            assert emitted.setdefault((half.side, half.key), paired) == paired
        done = end
    assert sum(emitted.values()) == count
