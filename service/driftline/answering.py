"""Whether broker and store answer, and have what we need: asked now and then, for an idle stage notices nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from driftline.errors import Misconfigured, Transient
from driftline.runtime.store import Store
from driftline.telemetry import Readiness, log

CONDITION: Final = "servers"
_EVERY_S: Final = 3.0
_WAIT_S: Final = 5.0


async def watch_servers(
    describe: Callable[[], Awaitable[Mapping[str, int]]], topics: Sequence[str], store: Store, readiness: Readiness
) -> None:
    """Until cancelled: the condition `servers` of `readiness` holds while the broker answers within some seconds
    and has `topics`, and the store answers and is as it has to be. Every change is logged. (Of a topic that is
    deleted under a running stage nothing else tells: the group takes its partitions away, and that is all.)"""
    known: str | None = None
    while True:
        why = await _broker(describe, topics) or await _store(store)
        if why is None:
            readiness.met(CONDITION)
        else:
            readiness.unmet(CONDITION, why)
        if why != known:
            log("servers.answering") if why is None else log("servers.failing", detail=why)
        known = why
        await asyncio.sleep(_EVERY_S)


async def _broker(describe: Callable[[], Awaitable[Mapping[str, int]]], topics: Sequence[str]) -> str | None:
    """What is wrong with it, if anything is."""
    try:
        async with asyncio.timeout(_WAIT_S):  # wait_for could swallow a cancellation
            found = await describe()
    except Misconfigured:
        return "the broker does not let us in"
    except (Transient, TimeoutError):
        return "the broker does not answer"
    missing = [topic for topic in topics if topic not in found]
    return f"topic {missing[0]} is missing" if missing else None


async def _store(store: Store) -> str | None:
    try:
        async with asyncio.timeout(_WAIT_S):
            await store.check()
    except Misconfigured:
        return "the store would evict our state, or does not let us in"
    except (Transient, TimeoutError):
        return "the store does not answer"
    return None
