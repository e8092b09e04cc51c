"""What an event costs: CPU seconds per million, of our own process, for consume, consume + decode, and ingest.

`make bench`, or `python tests/bench/ingest_cost.py --events 400000`. One broker, one store, one run: compare the
ratios, not the seconds. Ingest runs whole: decode, binning on a pinned profile, checkpoints, and the outcome join
with and without.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from driftline.cli.reference import pin
from driftline.cli.run import embedded_overrides
from driftline.cli.topics import create_topics
from driftline.clock import SystemClock
from driftline.config import Config, load
from driftline.contracts.decode import Decoder
from driftline.ingest.stage import IngestStage
from driftline.reference_build import Columns
from driftline.registry import ProfileRegistry
from driftline.runtime.embedded import EmbeddedServer, EmbeddedServers
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing
from driftline.runtime.loop import Loop
from driftline.wiring import decoder, ingest_settings, kafka_settings, loop_settings, redis_store

FEATURES = 20
PARTITIONS = 4
START_MS = 1_700_000_000_000
EVERY_MS = 10


@dataclass(frozen=True)
class Cost:
    what: str
    cpu_s: float
    broker_s: float
    store_s: float
    wall_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    wanted = parser.parse_args()
    with EmbeddedServers() as servers:
        costs, size = asyncio.run(measure(servers, wanted.events))
    show(costs, wanted.events, size)


async def measure(servers: EmbeddedServers, events: int) -> tuple[list[Cost], int]:
    config = load(None, {}, overrides=embedded_overrides(servers)).config
    await create_topics(config)
    rng = np.random.default_rng(7)
    reference = {f"f{k}": rng.normal(size=10_000).tolist() for k in range(FEATURES)}
    reference["time"] = (START_MS - 10_000_000 + np.arange(10_000) * 1_000).tolist()
    await pin(config, reference, "bench", "1", Columns())
    size = await publish(config, events, rng)
    costs = []
    for what, work in (
        ("consume", consume(config, None)),
        ("consume + decode", consume(config, Decoder())),
        ("ingest", ingest(config, "plain", join=False)),
        ("ingest with join", ingest(config, "joined", join=True)),
    ):
        costs.append(await timed(what, work, servers, events))
    return costs, size


async def publish(config: Config, events: int, rng: np.random.Generator) -> int:
    """Predictions of 20 features, about 600 bytes each; the mean size."""
    writer = KafkaWriter(kafka_settings(config))
    topic, total = config.topics.events[0], 0
    for start in range(0, events, 20_000):
        rows = rng.normal(size=(min(20_000, events - start), FEATURES))
        records = []
        for i, row in enumerate(rows.tolist(), start):
            value = orjson.dumps(
                {
                    "type": "prediction",
                    "id": f"bench-{i:09d}",
                    "model": "bench",
                    "version": "1",
                    "time": START_MS + i * EVERY_MS,
                    "features": {f"f{k}": x for k, x in enumerate(row)},
                }
            )
            total += len(value)
            records.append(Outgoing(topic, i % PARTITIONS, None, value))
        await writer.publish(records)
    await writer.close()
    return total // events


def consume(config: Config, decode: Decoder | None) -> Callable[[int], Awaitable[None]]:
    async def work(events: int) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=config.kafka.bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20
        )
        await consumer.start()
        topic = config.topics.events[0]
        consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        seen = 0
        while seen < events:
            for records in (await consumer.getmany(timeout_ms=250, max_records=50_000)).values():
                seen += len(records)
                if decode is not None:
                    for record in records:
                        decode.decode(record.value, record.headers)
        await consumer.stop()

    return work


def ingest(config: Config, name: str, *, join: bool) -> Callable[[int], Awaitable[None]]:
    async def work(events: int) -> None:
        # A ledger of its own: the blocks of one run must not be taken for another's.
        own = {"join.enabled": join, "redis.prefix": name, "topics.blocks": f"bench.{name}.blocks"}
        joined = load(None, {}, overrides={**overrides_of(config), **own}).config
        await create_topics(joined)
        kafka, clock = kafka_settings(joined), SystemClock()
        reader, writer, store = KafkaReader(kafka), KafkaWriter(kafka), redis_store(joined)
        registry = ProfileRegistry(reader, joined.topics.profiles, clock)
        await registry.refresh(force=True)
        blocks = await reader.partitions(joined.topics.blocks)
        settings = ingest_settings(joined, PARTITIONS, blocks, 1)
        stage = IngestStage(settings, decoder(joined), store, reader, registry)
        consumer = KafkaConsumer(kafka, stage.topic, f"bench.{name}")
        loop = Loop(stage, consumer, writer, store, clock, loop_settings(joined, "ingest", structure="bench"))
        await loop.start()
        seen = 0
        while seen < events:
            seen += await loop.step()
        await consumer.close()
        for client in (reader, writer, store):
            await client.close()

    return work


def overrides_of(config: Config) -> dict[str, object]:
    return {
        "kafka.bootstrap": config.kafka.bootstrap,
        "kafka.idempotent": False,
        "kafka.end_lags": True,
        "kafka.rebalance_timeout_ms": config.kafka.rebalance_timeout_ms,
        "kafka.session_timeout_ms": config.kafka.session_timeout_ms,
        "runtime.revoke_deadline_s": config.runtime.revoke_deadline_s,
        "redis.url": config.redis.url,
    }


async def timed(what: str, work: Callable[[int], Awaitable[None]], servers: EmbeddedServers, events: int) -> Cost:
    broker, store = cpu_of(servers.kafka), cpu_of(servers.redis)
    cpu, wall = time.process_time(), time.monotonic()
    await work(events)
    return Cost(
        what,
        time.process_time() - cpu,
        cpu_of(servers.kafka) - broker,
        cpu_of(servers.redis) - store,
        time.monotonic() - wall,
    )


def cpu_of(server: EmbeddedServer) -> float:
    """User and system seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(costs: list[Cost], events: int, size: int) -> None:
    million = events / 1e6
    base = costs[0].cpu_s
    table = Table(
        "", "CPU s per million", "x consume", "broker", "store", "events/s",
        title=f"{events:,} events of {FEATURES} features, {size} bytes; Python {platform.python_version()}",
    )  # fmt: skip
    for cost in costs:
        table.add_row(
            cost.what,
            f"{cost.cpu_s / million:.1f}",
            f"{cost.cpu_s / base:.1f}",
            f"{cost.broker_s / million:.1f}",
            f"{cost.store_s / million:.1f}",
            f"{events / cost.wall_s:,.0f}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
