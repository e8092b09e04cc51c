"""The audit of the store: entry by entry, against what the store says of itself."""

from __future__ import annotations

import pytest

from driftline.demo.memory_audit import JoinFigures, StoreAudit
from driftline.runtime.embedded import EmbeddedServers
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore
from driftline.runtime.store import Half, Slot, Write
from support.servers import unique


def half(side: str, key: str, origin: int) -> Half:
    return Half(side, key.encode(), origin, b"payload")


def test_entries_are_told_apart_by_their_first_byte() -> None:
    figures = JoinFigures()
    figures.add_entries([b"P" + bytes(8), b"O" + bytes(9), b"p" + bytes(8), b"o" + bytes(30), b"P"])
    assert (figures.pending, figures.orphans_waiting, figures.pairs, figures.problems) == (2, 1, 2, [])
    figures.add_entries([b"?"])
    assert figures.problems


@pytest.mark.connected
async def test_what_the_store_holds(servers: EmbeddedServers) -> None:
    prefix = unique("audit")
    store, audit = (
        RedisStore(RedisSettings(url=servers.redis_url), prefix=prefix),
        StoreAudit(servers.redis_url, prefix),
    )
    try:
        await store.join(10, [half("P", f"old{i}", i) for i in range(7)] + [half("O", "astray", 99)])
        await store.join(20, [half("P", f"p{i}", 100 + i) for i in range(50)])
        await store.join(20, [half("O", f"p{i}", 200 + i) for i in range(40)] + [half("O", "lost", 300)])
        await store.expire(15)
        figures = await audit.join()
        assert figures == JoinFigures(
            pending=10, orphans_waiting=1, orphans_expired=1, expired=7, joined=40, pairs=40, problems=[]
        )
        assert figures.orphans == 2
        slot = Slot("ingest", 3)
        assert (await audit.owned("ingest", 3), await audit.next_of("ingest", 3)) == (False, 0)
        await store.acquire(slot, "token")
        await store.commit(slot, Write(token="token", batch="b", begin=None, next=17))
        assert (await audit.owned("ingest", 3), await audit.next_of("ingest", 3)) == (True, 17)
    finally:
        await audit.close()
        await store.close()
