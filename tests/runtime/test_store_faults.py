"""Redis that is full, evicts, forgets its scripts, is away, is slow, refuses us: rows C21, C25 to C27."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from driftline.errors import Misconfigured, Transient
from driftline.runtime.redis_client import RedisSettings, scripts
from driftline.runtime.redis_store import RedisStore
from driftline.runtime.store import Half, Meeting, Met, Slot, Snapshot, Verdict, Write
from support.proxy import Proxy
from support.servers import AnyServer

pytestmark = pytest.mark.connected

SLOT = Slot("ingest", 0)


@pytest.fixture
def server(own_store: AnyServer) -> AnyServer:
    return own_store


@pytest.fixture
def operator(server: AnyServer) -> Iterator[Any]:
    with redis.Redis.from_url(f"redis://{server.address}/0") as plain:
        yield plain


@pytest.fixture
async def store(server: AnyServer) -> AsyncIterator[RedisStore]:
    made = RedisStore(RedisSettings(f"redis://{server.address}/0", timeout_s=2))
    yield made
    await made.close()


async def test_a_full_store_refuses_a_write_whole_and_still_reads(store: RedisStore, operator: Any) -> None:
    """C25. Mutation: drop the `#!lua` line of `commit` in store.lua: the script starts, and fails half-way."""
    await store.acquire(SLOT, "a")
    await store.commit(SLOT, Write("a", "1", None, 10, {"x": b"1"}))
    await store.join(1, [Half("P", b"k", 1, b"p")])
    operator.config_set("maxmemory", 1)
    gone = Write("a", "2", 10, 20, {"x": b"2"}, delete=("x",))
    for call in (
        store.commit(SLOT, gone),
        store.acquire(SLOT, "b"),
        store.join(1, [Half("O", b"k", 2, b"")]),
        store.quarantine(SLOT, "x", b""),
    ):
        with pytest.raises(Transient, match="out of memory: raise its maxmemory"):
            await call
    assert await store.read(SLOT) == Snapshot(10, {"x": b"1"}, b"")
    assert (await store.join_totals()).pending_predictions == 1
    await store.expire(5)
    assert (await store.join_totals()).expired_predictions == 1
    operator.config_set("maxmemory", 0)
    assert await store.commit(SLOT, gone) is Verdict.APPLIED


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_store_that_evicts_is_refused(
    server: AnyServer, store: RedisStore, operator: Any, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C26. Mutation: return from `RedisClient.check` before it compares the policy."""
    operator.config_set("maxmemory-policy", policy)
    with pytest.raises(Misconfigured, match=r"noeviction.*redis\.allow_eviction") as refused:
        await store.check()
    assert policy in str(refused.value)
    lenient = RedisStore(RedisSettings(f"redis://{server.address}/0"), allow_eviction=True)
    with caplog.at_level(logging.WARNING):
        await lenient.check()
    assert policy in caplog.text
    await lenient.close()


async def test_a_server_that_keeps_its_settings_to_itself_is_taken_with_a_warning(
    server: AnyServer, operator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    operator.execute_command("ACL", "SETUSER", "us", "on", ">secret", "~*", "+@all", "-info")
    store = RedisStore(RedisSettings(f"redis://{server.address}/0", username="us", password="secret"))
    with caplog.at_level(logging.WARNING):
        await store.check()
    assert "does not let us read INFO" in caplog.text
    await store.close()


async def test_a_write_whose_answer_was_lost_recognises_itself(server: AnyServer) -> None:
    """C27. Mutation: drop the comparison of batches in `commit`: the repetition is told MOVED."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(RedisSettings(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=0.3))
        await store.acquire(SLOT, "a")
        await store.commit(SLOT, Write("a", "1", None, 5))
        await store.join(1, [Half("P", b"other", 1, b"p")])
        write = Write("a", "2", 5, 10, {"x": b"1"}, outbox=b"o")
        proxy.mute = True
        with pytest.raises(Transient, match=r"did not answer within 0\.3 s"):
            await store.commit(SLOT, write)
        half = Half("P", b"k", 1, b"p")
        with pytest.raises(Transient):
            await store.join(1, [half])
        proxy.mute = False
        assert await store.commit(SLOT, write) is Verdict.REPEATED
        assert await store.read(SLOT) == Snapshot(10, {"x": b"1"}, b"o")
        assert await store.join(1, [half]) == [Meeting(Met.NEW)]
        assert (await store.join_totals()).pending_predictions == 2
        await store.close()


async def test_scripts_that_the_server_forgot_are_loaded_again(store: RedisStore, operator: Any) -> None:
    """Mutation: drop the second exchange in `RedisClient.run`: NOSCRIPT after every restart of the server."""
    await store.acquire(SLOT, "a")
    operator.script_flush()
    halves = [Half("P", b"k%d" % i, i, b"") for i in range(500)]
    assert await store.join(1, halves) == [Meeting(Met.NEW)] * 500
    assert await store.commit(SLOT, Write("a", "1", None, 10)) is Verdict.APPLIED


async def test_a_store_that_goes_away_and_comes_back_empty(server: AnyServer, store: RedisStore) -> None:
    """C21, C23. Mutation: pass on redis-py's errors in `_exchange`: a ConnectionError ends the loop."""
    await store.acquire(SLOT, "a")
    server.stop(kill=True)
    for _ in range(2):
        with pytest.raises(Transient, match="cannot be reached"):
            await store.commit(SLOT, Write("a", "1", None, 10))
    server.start()
    assert await store.commit(SLOT, Write("a", "1", None, 10)) is Verdict.LOST


async def test_a_replica_and_a_primary_without_replicas(store: RedisStore, operator: Any) -> None:
    """C24: what a fail-over shows us. Nothing is written, and reads go on."""
    await store.acquire(SLOT, "a")
    operator.config_set("min-replicas-to-write", 1)
    with pytest.raises(Transient, match="too few replicas"):
        await store.commit(SLOT, Write("a", "1", None, 10))
    operator.config_set("min-replicas-to-write", 0)
    operator.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(Transient, match="read-only replica"):
        await store.commit(SLOT, Write("a", "1", None, 10))
    assert (await store.read(SLOT)).next is None


async def test_what_is_wrong_with_the_settings_is_said_without_the_password(
    server: AnyServer, operator: Any
) -> None:
    """E45."""
    operator.config_set("requirepass", "right")
    for url, password in [
        (f"redis://:canary@{server.address}/0", None),
        (f"redis://{server.address}/0", "canary"),
        (f"redis://{server.address}/0", None),
        ("redis://:canary@127.0.0.1:1/0", None),
    ]:
        settings = RedisSettings(url, password=password)
        store = RedisStore(settings)
        with pytest.raises((Misconfigured, Transient)) as refused:
            await store.check()
        assert "canary" not in f"{refused.value!r} {refused.value.__cause__!r} {settings!r}"
        assert isinstance(refused.value, Transient) == url.endswith(":1/0")
        await store.close()
    for url in ("canary://host", "redis://host:port:canary", "redis://h/0?db=canary"):
        with pytest.raises(Misconfigured, match=r"redis\.url") as refused:
            RedisStore(RedisSettings(url))
        assert "canary" not in repr(refused.value)
    with pytest.raises(Misconfigured, match="rediss://"):
        RedisStore(RedisSettings("redis://host", tls_ca_file="ca.pem"))
    RedisStore(RedisSettings("rediss://host", tls_ca_file="ca.pem"))


async def test_a_key_of_somebody_else_is_no_reason_to_repeat(store: RedisStore, operator: Any) -> None:
    operator.set("{driftline:ingest:0}:meta", "a string")
    with pytest.raises(Misconfigured, match="WRONGTYPE"):
        await store.acquire(SLOT, "a")


def test_every_script_is_refused_before_it_starts() -> None:
    """C25: a script without the line would start on a full server, and fail half-way."""
    assert set(scripts()) == {"acquire", "read", "commit", "quarantine", "join", "expire", "reset_join"}
    assert all(script.source.startswith(b"#!lua") for script in scripts().values())
