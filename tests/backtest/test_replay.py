"""A backtest says what the stages say of the same events, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from backtest.making import ERROR_MOVES, STEP_MS, X_MOVES, N, config, events, rows, run, write_jsonl
from driftline.backtest.entries import Entry
from driftline.backtest.replay import Replay
from driftline.backtest.run import DAY_MS, slices
from driftline.contracts.cloudevents import decode_signal
from driftline.contracts.records import Signal
from driftline.wiring import judge_settings
from faults.data import Message
from faults.world import Shape, World


async def said_by_the_service(made: list[dict[str, object]], end: int) -> list[Signal]:
    """The signals of the same events on two partitions, by the world of the fault tests."""
    settings = replace(
        judge_settings(config()),
        signals_topic="signals",
        blocks_topic="blocks",
        profiles_topic="profiles",
        deadletter_topic="deadletter",
    )
    world = World(Shape(max_batch=300, judge=settings))
    world.publish([Message(str(e["id"]), 0.0, msgspec.json.encode(e)) for e in made])
    await world.drain(end)
    return [decode_signal(r.value, r.headers) for r in world.log.records("signals", 0)]


async def test_the_signals_are_those_of_the_service(tmp_path: Path) -> None:
    """Bit for bit, on one partition instead of two and in other ranges."""
    made = events(rows())
    theirs = await said_by_the_service(made, int(rows()[-1]["outcome_time"]))
    path = write_jsonl(tmp_path / "e.jsonl", made)
    ours = (await asyncio.to_thread(run, path)).signals
    end = max(s.time for s in ours)
    # The world goes on for an hour, to close its panes: it hears the silence.
    assert said(ours) == said([s for s in theirs if s.model == "model" and s.time <= end])
    assert not [s for s in theirs if s.time > end and not s.monitor.endswith(":silence")]
    assert {s.monitor for s in ours if s.state == "alarm"} >= {"features.x:distribution", "error:rate"}


def said(signals: list[Signal]) -> dict[str, Signal]:
    """By id, without the profile: which of its revisions was in force depends on when the pairs' was learnt."""
    return {s.id: msgspec.structs.replace(s, profile=None) for s in signals}


@pytest.mark.parametrize("batch", [137, 1_000, 50_000])
def test_slices_do_not_matter(tmp_path: Path, batch: int) -> None:
    path = write_jsonl(tmp_path / "e.jsonl", rows())
    usual = run(path)
    other = run(path, config=config(**{"ingest.max_batch": batch}))
    assert said(other.signals) == said(usual.signals)
    assert [r.id for r in other.requests] == [r.id for r in usual.requests]


def test_alarms_come_when_things_move(tmp_path: Path) -> None:
    result = run(write_jsonl(tmp_path / "e.jsonl", rows()))
    alarms = {alarm.monitor: alarm for alarm in result.alarms()}
    assert X_MOVES < alarms["features.x:distribution"].time < X_MOVES + 300_000
    assert ERROR_MOVES < alarms["error:rate"].time < ERROR_MOVES + 600_000
    for alarm in alarms.values():
        index = alarm.event_index
        assert index is not None
        assert abs(rows()[index]["time"] - alarm.time) <= STEP_MS, "the last row before the alarm"
    assert len(result.requests) == 1
    assert result.requests[0].rule == "error_alarm"
    summary = result.summary
    assert (summary.events, summary.outcomes, summary.refused, summary.late) == (N, N, 0, 0)


async def test_the_last_panes_are_closed_and_no_more() -> None:
    """Mutations: in `Replay.finish`, `ends = last`, or a pane more."""
    replay = Replay(config())
    await replay.start()
    made = [(msgspec.json.encode(event), int(event["time"])) for event in events(rows())]
    for first in range(0, len(made), 2_000):
        await replay.advance(made[first : first + 2_000])
    last, before = made[-1][1], replay.closed
    heard = await replay.finish(last + 1)
    (profile,) = replay.profiles().values()
    assert before < last < replay.closed <= last + profile.pane_ms
    assert replay.closed % profile.pane_ms == 0
    assert not [s for s in heard.signals if s.monitor.endswith(":silence")]


def test_slices_end_at_midnight() -> None:
    entries = [Entry(i * DAY_MS // 1_000, i * 2, b"") for i in range(2_500)]
    cut = list(slices([entries[:1_700], entries[1_700:]], 10_000))  # type: ignore[arg-type]
    assert [len(one) for one in cut] == [1_000, 1_000, 500]
