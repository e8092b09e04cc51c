"""What every store does, in memory and in Redis: slots change by compare-and-set only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftline.runtime.store import Slot, Snapshot, Verdict, Write
from runtime.stores import Bench

SLOT = Slot("ingest", 3)
FIRST = Write("a", "batch-1", None, 10, {"x": b"1", "y": b"\x00\xff"}, outbox=b"out")
SECOND = Write("a", "batch-2", 10, 20, {"x": b"2"}, delete=("y", "never"))


async def test_an_empty_slot_reads_as_nothing(bench: Bench) -> None:
    store = bench.client()
    await store.check()
    assert await store.read(SLOT) == Snapshot(None, {}, b"")
    assert await store.acquire(SLOT, "a") == Snapshot(None, {}, b"")


async def test_commits_follow_one_another(bench: Bench) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    assert await store.commit(SLOT, FIRST) is Verdict.APPLIED
    assert await store.read(SLOT) == Snapshot(10, {"x": b"1", "y": b"\x00\xff"}, b"out")
    assert await store.commit(SLOT, SECOND) is Verdict.APPLIED
    assert await bench.client().acquire(SLOT, "b") == Snapshot(20, {"x": b"2"}, b"")
    assert await store.read(Slot("ingest", 4)) == Snapshot(None, {}, b"")
    assert await store.read(Slot("judge", 3)) == Snapshot(None, {}, b"")


async def test_single_fields_are_read_without_taking_the_slot(bench: Bench) -> None:
    store = bench.client()
    assert await store.peek(SLOT, ["x"]) == {}
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, FIRST)
    assert await bench.client().peek(SLOT, ["y", "never"]) == {"y": b"\x00\xff"}
    assert await store.commit(SLOT, SECOND) is Verdict.APPLIED


async def test_a_commit_without_a_slot_is_lost(bench: Bench) -> None:
    store = bench.client()
    assert await store.commit(SLOT, FIRST) is Verdict.LOST
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, FIRST)
    bench.wipe()
    assert await store.commit(SLOT, SECOND) is Verdict.LOST
    assert await store.commit(SLOT, FIRST) is Verdict.LOST, "its batch is forgotten too"


async def test_quarantine_alone_is_no_slot(bench: Bench) -> None:
    store = bench.client()
    await store.quarantine(SLOT, "x", b"1")
    assert await store.commit(SLOT, FIRST) is Verdict.LOST


async def test_another_owner_fences(bench: Bench) -> None:
    zombie, owner = bench.client(), bench.client()
    await zombie.acquire(SLOT, "a")
    await zombie.commit(SLOT, FIRST)
    await owner.acquire(SLOT, "b")
    assert await zombie.commit(SLOT, SECOND) is Verdict.FENCED
    assert (await owner.read(SLOT)).next == 10


@pytest.mark.parametrize("begin", [None, 9, 11])
async def test_a_commit_from_elsewhere_has_moved(bench: Bench, begin: int | None) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, FIRST)
    assert await store.commit(SLOT, replace(SECOND, begin=begin)) is Verdict.MOVED
    assert (await store.read(SLOT)).fields["x"] == b"1"


async def test_a_slot_without_an_offset_is_not_at_zero(bench: Bench) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    assert await store.commit(SLOT, replace(FIRST, begin=0)) is Verdict.MOVED


async def test_a_repeated_batch_is_applied_once(bench: Bench) -> None:
    """C27.

    Mutation: drop the comparison of batches in `commit` (store.lua, memory_store.py): the repetition is told MOVED.
    """
    store = bench.client()
    await store.acquire(SLOT, "a")
    assert await store.commit(SLOT, FIRST) is Verdict.APPLIED
    assert await store.commit(SLOT, FIRST) is Verdict.REPEATED
    await store.commit(SLOT, SECOND)
    assert await store.commit(SLOT, FIRST) is Verdict.MOVED, "it is not the last one any more"
    assert (await store.read(SLOT)) == Snapshot(20, {"x": b"2"}, b"")


async def test_a_zombie_that_repeats_learns_only_what_is_true(bench: Bench) -> None:
    """A5, C27: the new owner read what the zombie's batch wrote; after its own first write the zombie is fenced.

    Mutation: compare owners before batches in `commit`: the repetition is told FENCED though it was applied.
    """
    zombie, owner = bench.client(), bench.client()
    await zombie.acquire(SLOT, "a")
    await zombie.commit(SLOT, FIRST)
    assert (await owner.acquire(SLOT, "b")).next == 10
    assert await zombie.commit(SLOT, FIRST) is Verdict.REPEATED
    assert await owner.commit(SLOT, Write("b", "batch-b", 10, 30)) is Verdict.APPLIED
    assert await zombie.commit(SLOT, FIRST) is Verdict.FENCED
    assert (await owner.read(SLOT)).next == 30


async def test_a_zombie_whose_batch_never_arrived_is_fenced(bench: Bench) -> None:
    """A5. Mutation: let `acquire` keep the former owner: the zombie's late batch is APPLIED."""
    zombie, owner = bench.client(), bench.client()
    await zombie.acquire(SLOT, "a")
    assert (await owner.acquire(SLOT, "b")).next is None
    assert await zombie.commit(SLOT, FIRST) is Verdict.FENCED
    assert await owner.commit(SLOT, replace(FIRST, token="b", batch="b-1")) is Verdict.APPLIED


async def test_the_owner_may_acquire_again(bench: Bench) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, FIRST)
    assert (await store.acquire(SLOT, "a2")).next == 10
    assert await store.commit(SLOT, SECOND) is Verdict.FENCED
    assert await store.commit(SLOT, replace(SECOND, token="a2")) is Verdict.APPLIED


async def test_many_fields_in_one_write(bench: Bench) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    fields = {f"model/{i}": b"s" * (i % 7) for i in range(5_000)}
    assert await store.commit(SLOT, Write("a", "1", None, 1, fields)) is Verdict.APPLIED
    assert (await store.read(SLOT)).fields == fields
    gone = [f"model/{i}" for i in range(0, 5_000, 2)]
    assert await store.commit(SLOT, Write("a", "2", 1, 2, {}, gone)) is Verdict.APPLIED
    assert set((await store.read(SLOT)).fields) == set(fields) - set(gone)


async def test_what_is_set_survives_its_deletion_in_the_same_write(bench: Bench) -> None:
    store = bench.client()
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, Write("a", "1", None, 1, {"x": b"1"}, ("x",)))
    assert (await store.read(SLOT)).fields == {"x": b"1"}


async def test_quarantine_keeps_the_latest_few(bench: Bench) -> None:
    store = bench.client()
    for i in range(40):
        await store.quarantine(SLOT, f"field {i}", b"\x00broken\x00%d" % i)
    kept = await store.quarantined(SLOT)
    assert kept == [(f"field {i}", b"\x00broken\x00%d" % i) for i in range(39, 23, -1)]
    assert await store.quarantined(Slot("ingest", 4)) == []
