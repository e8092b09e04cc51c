"""What the store in memory can do beyond the contract: go back, forget, be away, be full."""

from __future__ import annotations

import pytest

from driftline.errors import Transient
from driftline.runtime.memory_store import MemoryServer, MemoryStore
from driftline.runtime.store import Half, Meeting, Met, Slot, Snapshot, Verdict, Write

SLOT = Slot("judge", 0)


async def test_a_restored_snapshot_is_as_it_was() -> None:
    """C22: state, offset and join memory go back together. Mutation: copy shallowly in `snapshot`."""
    server = MemoryServer()
    store = MemoryStore(server)
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, Write("a", "1", None, 10, {"x": b"1"}))
    await store.join(1, [Half("P", b"k", 1, b"p")])
    before = server.snapshot()
    for _ in range(2):
        assert await store.commit(SLOT, Write("a", "2", 10, 20, {"x": b"2"})) is Verdict.APPLIED
        assert await store.join(1, [Half("O", b"k", 2, b"")]) == [Meeting(Met.PAIRED, b"p")]
        server.restore(before)
        assert await store.read(SLOT) == Snapshot(10, {"x": b"1"}, b"")
        assert (await store.join_totals()).pending_predictions == 1
    server.wipe()
    assert await store.commit(SLOT, Write("a", "2", 10, 20)) is Verdict.LOST
    with pytest.raises(TypeError):
        server.restore(object())


async def test_a_server_that_is_away_or_full() -> None:
    store = MemoryStore()
    await store.acquire(SLOT, "a")
    store.server.full = True
    with pytest.raises(Transient, match="full"):
        await store.commit(SLOT, Write("a", "1", None, 1))
    with pytest.raises(Transient, match="full"):
        await store.join(1, [Half("P", b"k", 1, b"p")])
    assert (await store.read(SLOT)).next is None
    await store.expire(9)
    store.server.available = False
    with pytest.raises(Transient, match="off"):
        await store.read(SLOT)
    with pytest.raises(Transient, match="off"):
        await store.check()
