"""The contract suites run on memory and, marked `connected`, on servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runtime.logs import KafkaBench, LogBench, MemoryLogBench
from runtime.stores import Bench, MemoryBench, RedisBench
from support.servers import AnyServers

_KINDS = ["memory", pytest.param("real", marks=pytest.mark.connected)]


@pytest.fixture(params=_KINDS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made: Bench
    if request.param == "memory":
        made = MemoryBench()
    else:
        servers: AnyServers = request.getfixturevalue("servers")
        made = RedisBench(servers)
    yield made
    await made.close()


@pytest.fixture(params=_KINDS)
async def log_bench(request: pytest.FixtureRequest) -> AsyncIterator[LogBench]:
    made: LogBench
    if request.param == "memory":
        made = MemoryLogBench()
    else:
        servers: AnyServers = request.getfixturevalue("servers")
        made = KafkaBench(servers)
    yield made
    await made.close()
