"""What the store's keys look like: one hash tag for whatever one script touches."""

from __future__ import annotations

import re

import pytest

from driftline.runtime.store import Half, Slot, Write
from runtime.stores import RedisBench
from support.servers import AnyServers

pytestmark = pytest.mark.connected


async def test_the_key_space_is_the_documented_one(servers: AnyServers) -> None:
    bench = RedisBench(servers)
    store = bench.client()
    slot = Slot("ingest", 3)
    await store.acquire(slot, "a")
    await store.commit(slot, Write("a", "1", None, 1, {"x": b"1"}, outbox=b"o"))
    await store.quarantine(slot, "x", b"1")
    await store.join(20_000, [Half("P", b"k", 1, b"p")])
    found = {key.decode().removeprefix("{" + bench.prefix) for key in bench.stored()}
    slots = {":ingest:3}:" + part for part in ("meta", "fields", "outbox", "quarantine")}
    assert slots < found
    shards = {re.sub(r"\d+(?=})", "N", key) for key in found - slots}
    assert shards == {":join:N}:days", ":join:N}:counts", ":join:N}:20000"}
    await store.reset_join()
    assert len(bench.stored()) == len(slots)
    await bench.close()
