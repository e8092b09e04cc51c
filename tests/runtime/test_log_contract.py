"""What every log does, in memory and on Kafka: writing, and reading outside any group."""

from __future__ import annotations

import pytest

from driftline.errors import Misconfigured, PublishRefused
from driftline.runtime.log import Bounds, Outgoing
from runtime.logs import LogBench


async def test_what_is_published_is_read_in_order(log_bench: LogBench) -> None:
    topic = await log_bench.topic(3)
    headers = (("ce_type", b"a"), ("ce_type", b"\xff"))
    records = [Outgoing(topic, i % 2, b"k%d" % i, b"v%d" % i, headers) for i in range(100)]
    await log_bench.writer.publish(records[:60])
    await log_bench.writer.publish(records[60:])
    await log_bench.writer.publish([])
    for partition in (0, 1):
        read = await log_bench.reader.read(topic, partition, 0, 1_000)
        assert [r.offset for r in read] == list(range(50))
        assert [(r.key, r.value) for r in read] == [(r.key, r.value) for r in records[partition::2]]
        assert all(tuple(r.headers) == headers and r.topic == topic and r.partition == partition for r in read)
        assert all(r.timestamp > 0 for r in read)
    assert await log_bench.reader.read(topic, 2, 0, 1_000) == []


async def test_a_range_is_read_exactly(log_bench: LogBench) -> None:
    topic = await log_bench.topic(1)
    await log_bench.writer.publish([Outgoing(topic, 0, None, b"v%d" % i) for i in range(50)])
    for start, stop in [(0, 1), (10, 20), (49, 50), (45, 99), (20, 20), (30, 10), (50, 60), (70, 80)]:
        read = await log_bench.reader.read(topic, 0, start, stop)
        assert [r.offset for r in read] == list(range(50))[start:stop]


async def test_bounds_are_exact_after_every_batch(log_bench: LogBench) -> None:
    """An end that lags would hide the ledger's last bundle from whoever takes over."""
    topic = await log_bench.topic(2)
    assert await log_bench.reader.bounds(topic) == {0: Bounds(0, 0), 1: Bounds(0, 0)}
    total = 0
    for count in (1, 7, 3, 20):
        await log_bench.writer.publish([Outgoing(topic, 1, b"k", b"v")] * count)
        total += count
        assert await log_bench.reader.bounds(topic) == {0: Bounds(0, 0), 1: Bounds(0, total)}
        assert len(await log_bench.reader.read(topic, 1, total - 1, total)) == 1


async def test_empty_values_tombstones_and_no_keys(log_bench: LogBench) -> None:
    topic = await log_bench.topic(1)
    pairs = [(b"k", None), (None, b""), (b"", b"v"), (None, b"v")]
    await log_bench.writer.publish([Outgoing(topic, 0, k, v) for k, v in pairs])
    assert [(r.key, r.value) for r in await log_bench.reader.read(topic, 0, 0, 9)] == pairs


async def test_large_records_are_batched_alone(log_bench: LogBench) -> None:
    topic = await log_bench.topic(1)
    sizes = [10, 900_000, 10, 400_000, 400_000, 5]
    await log_bench.writer.publish([Outgoing(topic, 0, b"k", bytes(s)) for s in sizes])
    assert [len(r.value or b"") for r in await log_bench.reader.read(topic, 0, 0, 9)] == sizes


async def test_an_oversize_record_is_refused_before_anything_is_sent(log_bench: LogBench) -> None:
    """B18. Mutation: drop the comparison with the largest size in the writer: everything is published."""
    topic = await log_bench.topic(1)
    with pytest.raises(PublishRefused, match="larger than"):
        await log_bench.writer.publish([Outgoing(topic, 0, b"k", b"v"), Outgoing(topic, 0, b"k", bytes(1_000_001))])
    assert await log_bench.reader.read(topic, 0, 0, 9) == []
    await log_bench.writer.publish([Outgoing(topic, 0, b"k", b"v")])
    assert len(await log_bench.reader.read(topic, 0, 0, 9)) == 1


async def test_topics_are_counted_and_missed(log_bench: LogBench) -> None:
    topic = await log_bench.topic(5)
    assert await log_bench.reader.partitions(topic) == 5
    with pytest.raises(Misconfigured, match="no topic 'nowhere'"):
        await log_bench.reader.partitions("nowhere")
    with pytest.raises(Misconfigured, match="no topic 'nowhere'"):
        await log_bench.reader.bounds("nowhere")
    with pytest.raises(Misconfigured, match="no topic 'nowhere'"):
        await log_bench.reader.bounds_of("nowhere", [0])
