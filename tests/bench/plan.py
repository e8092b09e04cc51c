"""What is measured, how often, and in what order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import msgspec

from bench.job import Cost, Job, Way
from bench.measure import measured
from bench.workload import Workload, pin, publish, reference
from driftline.cli.run import embedded_overrides
from driftline.cli.topics import create_topics
from driftline.config import load
from driftline.runtime.embedded import EmbeddedServers

_SLOW: Final = 10
"""Faust, and events of 200 features, are measured on so many times fewer events."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: a way to take a workload."""

    name: str
    what: str
    way: Way
    workload: str = "plain"
    join: bool = False
    slow: bool = False


ROWS: Final = (
    Row(name="consume", what="consume (aiokafka getmany)", way="consume"),
    Row(name="ceiling", what="consume + decode: the ceiling", way="decode"),
    Row(name="bare", what="bare loop: decode, columns, histograms", way="bare"),
    Row(name="ingest", what="ingest with checkpoints", way="ingest"),
    Row(name="ingest_join", what="... and the join, predictions alone", way="ingest", join=True),
    Row(
        name="ingest_pairs", what="... half predictions, half outcomes", way="ingest", workload="paired", join=True
    ),
    Row(name="faust", what="Faust agent, river's ADWIN a feature", way="faust", slow=True),
    Row(name="many", what="ingest, 1,000 models", way="ingest", workload="many"),
    Row(name="wide_ceiling", what="200 features: consume + decode", way="decode", workload="wide", slow=True),
    Row(name="wide", what="200 features: ingest", way="ingest", workload="wide", slow=True),
)


def workloads(events: int) -> list[Workload]:
    """Half as many events again as are counted: some warm up, some are on their way when counting ends."""
    held = events * 3 // 2
    return [
        Workload(name="plain", events=held),
        Workload(name="paired", events=held, outcomes=True),
        Workload(name="many", events=held, models=1_000),
        Workload(name="wide", events=held // _SLOW, features=200),
    ]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds of all rows, in order, and the mean size in bytes of each workload's events."""

    costs: dict[str, list[Cost]]
    sizes: dict[str, float]

    def middle(self, row: str, what: Callable[[Cost], float]) -> float:
        return median(what(cost) for cost in self.costs[row])

    def ratio(self, row: str, base: str, what: Callable[[Cost], float] = lambda cost: cost.cpu) -> float:
        """The median over rounds: both are measured close in time, so a noisy neighbour weighs on both."""
        pairs = zip(self.costs[row], self.costs[base], strict=True)
        return median(what(one) / what(other) for one, other in pairs)


def measure(events: int, rounds: int, say: Callable[[str], None]) -> Measured:
    """Every row once a round, each in a process of its own."""
    held = {workload.name: workload for workload in workloads(events)}
    costs: defaultdict[str, list[Cost]] = defaultdict(list)
    with EmbeddedServers() as servers:
        base = embedded_overrides(servers)
        sizes = {}
        for name, workload in held.items():
            say(f"publishing {workload.events:,} events: {name}")
            sizes[name] = asyncio.run(prepare(base, workload))
        for turn in range(rounds):
            for row in ROWS:
                say(f"round {turn + 1} of {rounds}: {row.what}")
                job = job_of(row, held[row.workload], base, f"bench-{turn}-{row.name}", events, servers)
                costs[row.name].append(measured(job))
    return Measured(costs=dict(costs), sizes=sizes)


async def prepare(base: dict[str, Any], workload: Workload) -> float:
    config = load(None, {}, overrides={**base, **workload.settings}).config
    await create_topics(config)
    await pin(config, reference(workload.features, every_ms=1_000), workload.models)
    return await publish(config, workload)


def job_of(
    row: Row, workload: Workload, base: dict[str, Any], name: str, events: int, servers: EmbeddedServers
) -> Job:
    # A ledger of its own: the blocks of one run would be taken for another's, and folded again.
    own = {"join.enabled": row.join, "redis.prefix": name, "topics.blocks": f"{name}.blocks"}
    counted = events // _SLOW if row.slow else events
    return Job(
        name=name,
        way=row.way,
        settings={**base, **workload.settings, **own},
        warm=counted // 10,
        events=counted,
        held=workload.events,
        features=workload.features,
        broker=servers.kafka.pid,
        store=servers.redis.pid,
    )
