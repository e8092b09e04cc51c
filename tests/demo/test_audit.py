"""The audit's arithmetic, on ledgers written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from driftline.clock import ManualClock
from driftline.contracts.blocks import BinnedBlock, Block, Bundle, ModelTally, RawBlock, WindowTally
from driftline.demo.audit import LedgerFigures, audit_blocks
from driftline.runtime.log import Outgoing
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter

TOPIC = "blocks"


def binned(stream: str, n: int) -> BinnedBlock:
    return BinnedBlock("m", "1", stream, "grid", 0, n, 0, b"", b"", b"", {})


def raw(stream: str, n: int) -> RawBlock:
    return RawBlock("m", "1", stream, bytes(8 * n), bytes(8 * n), {})


def tally(**counts: int) -> ModelTally:
    return msgspec.structs.replace(ModelTally("m", "1"), **counts)


def at(partition: int, source: int, first: int, after: int, **more: Any) -> tuple[int, Bundle]:
    """A bundle and the `blocks` partition it stands in; of two sources and two partitions."""
    return partition, Bundle(source=source, sources=2, first=first, next=after, watermark=after, clock=0, **more)


SOUND: Sequence[tuple[int, Bundle]] = (
    at(0, 0, 0, 7, windows={0: WindowTally(7, {"json": 1})}),
    at(1, 0, 0, 7, blocks=[binned("predictions", 4)], tallies=[tally(predictions=5, before_reference=1)]),
    at(0, 1, 0, 3),
    at(
        1,
        1,
        0,
        3,
        windows={0: WindowTally(3)},
        blocks=[raw("pairs", 2)],
        tallies=[tally(outcomes_joined=2, outcomes_waiting=1)],
    ),
    at(0, 0, 7, 9, windows={0: WindowTally(2)}),
    at(1, 0, 7, 9, blocks=[binned("pairs", 1)], tallies=[tally(outcomes_joined=1, duplicate_predictions=1)]),
)


async def audited(bundles: Sequence[tuple[int, Bundle]]) -> LedgerFigures:
    log = MemoryLog(ManualClock(), {TOPIC: 2})
    records = [Outgoing(TOPIC, partition, None, msgspec.msgpack.encode(bundle)) for partition, bundle in bundles]
    await MemoryWriter(log).publish(records)
    return await audit_blocks(MemoryReader(log), TOPIC)


async def test_a_sound_ledger_adds_up() -> None:
    figures = await audited(SOUND)
    assert figures.problems == []
    assert (figures.records, figures.predictions_counted, figures.joined) == (12, 5, 3)
    assert (figures.duplicates, dict(figures.refused)) == (1, {"json": 1})
    assert figures.outcomes_received == 5
    assert figures.ends == {0: 9, 1: 3}
    assert figures.judged_until == 3
    assert figures.by_version["1"]["outcomes_joined"] == 3


async def test_a_bundle_that_is_published_twice_counts_once() -> None:
    figures = await audited([*SOUND[:2], SOUND[1], SOUND[0], *SOUND[2:]])
    assert figures.repeated_bundles == 2
    assert (figures.records, figures.predictions_counted, figures.problems) == (12, 5, [])


async def test_idle_bundles_are_no_repetition() -> None:
    idle = [at(partition, 0, 9, 9, idle=True) for partition in (0, 1, 0, 1)]
    figures = await audited([*SOUND, *idle])
    assert (figures.repeated_bundles, figures.problems) == (0, [])


@pytest.mark.parametrize("left_out", range(len(SOUND)))
async def test_a_missing_bundle_is_a_problem(left_out: int) -> None:
    figures = await audited([bundle for i, bundle in enumerate(SOUND) if i != left_out])
    assert figures.problems


@pytest.mark.parametrize(("first", "after"), [(8, 12), (5, 9), (0, 9)], ids=["gap", "overlap", "from the begin"])
async def test_ranges_that_do_not_follow_each_other_are_a_problem(first: int, after: int) -> None:
    wrong = [at(partition, 0, first, after) for partition in (0, 1)]
    figures = await audited([*SOUND, *wrong])
    assert any("source 0 goes from 9 on to" in problem for problem in figures.problems)


@pytest.mark.parametrize("block", [binned("predictions", 1), raw("pairs", 3)])
async def test_blocks_that_hold_more_than_tallies_say_are_a_problem(block: Block) -> None:
    figures = await audited([*SOUND, at(0, 1, 3, 4, blocks=[block]), at(1, 1, 3, 4)])
    assert len(figures.problems) == 1


async def test_an_empty_ledger_holds_nothing() -> None:
    figures = await audited([])
    assert (figures.records, figures.ends, figures.problems, figures.judged_until) == (0, {}, [], 0)
