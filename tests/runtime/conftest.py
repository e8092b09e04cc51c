"""The contract suites run on memory and, marked `connected`, on the embedded servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from driftline.runtime.embedded import EmbeddedServers
from runtime.logs import KafkaBench, LogBench, MemoryLogBench
from runtime.stores import Bench, MemoryBench, RedisBench

_KINDS = ["memory", pytest.param("real", marks=pytest.mark.connected)]


@pytest.fixture(params=_KINDS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made: Bench
    if request.param == "memory":
        made = MemoryBench()
    else:
        servers: EmbeddedServers = request.getfixturevalue("servers")
        made = RedisBench(servers)
    yield made
    await made.close()


@pytest.fixture(params=_KINDS)
async def log_bench(request: pytest.FixtureRequest) -> AsyncIterator[LogBench]:
    made: LogBench
    if request.param == "memory":
        made = MemoryLogBench()
    else:
        servers: EmbeddedServers = request.getfixturevalue("servers")
        made = KafkaBench(servers)
    yield made
    await made.close()
