"""What the kill tests publish, and what has to come of it: counts known beforehand, verdicts from a clean run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from driftline.clock import ManualClock
from driftline.contracts.decode import Decoder
from driftline.demo.poison import KINDS, spoil
from driftline.demo.signals import listen
from driftline.ingest.stage import IngestSettings, IngestStage
from driftline.judge.stage import JudgeSettings, JudgeStage
from driftline.registry import ProfileRegistry
from driftline.runtime.loop import Loop
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter
from driftline.runtime.memory_store import MemoryStore
from driftline.runtime.owned import LoopSettings

Said = dict[str, dict[str, Any]]
"""Content of signals by id."""

SOURCES: Final = 3
BLOCKS: Final = 4
REFERENCE_EVENTS: Final = 1_000
REFERENCE_PAIRS: Final = 500
MODEL: Final = "churn"

_SEED: Final = 20
_PREDICTIONS: Final = 6_500
_EVERY_MS: Final = 200
_START: Final = 1_700_000_000_000
_AGE_MOVES, _INCOME_GOES, _ERRORS_RISE, _SCORE_MOVES = 0.5, 0.6, 0.7, 0.8
"""The parts of the workload after which alarms are due, one after the other."""
_COPIES_UNTIL: Final = 0.3
"""The part of the workload that holds second copies of events. (Copies that arrive while a lost store is being
rebuilt may be counted: docs/decisions/0002.)"""
_NEVER_LABELLED: Final = 0.05
_CLOSING_MS: Final = 3_600_000


@dataclass(frozen=True)
class Workload:
    """`records` are (partition, value) in the order of publication. `closing` is to be published when all of
    them are counted: one event a partition, an hour later, so that every pane before is judged whatever the
    batches were."""

    records: list[tuple[int, bytes | None]]
    closing: list[tuple[int, bytes | None]]
    predictions: int
    joined: int
    duplicates: int
    refused: Mapping[str, int]

    @property
    def published(self) -> Counter[int]:
        """Records in each partition, closing ones included."""
        return Counter(partition for partition, _ in (*self.records, *self.closing))

    @property
    def pending(self) -> int:
        """Predictions that nobody labels."""
        return self.predictions - self.joined


def make_workload() -> Workload:
    """Predictions with a drift, outcomes five seconds to a minute later, copies and poison among them."""
    rng = np.random.default_rng(_SEED)
    timed: list[tuple[int, int, bytes | None]] = []
    duplicates, joined = 0, 0
    refused: Counter[str] = Counter()
    for i in range(_PREDICTIONS):
        part, time = i / _PREDICTIONS, _START + i * _EVERY_MS
        prediction = _prediction(rng, i, time, part)
        events = [prediction]
        if rng.random() >= _NEVER_LABELLED:
            known = time + int(rng.integers(5_000, 60_000))
            right = rng.random() >= (0.45 if part >= _ERRORS_RISE else 0.1)
            outcome = prediction["prediction"] if right else not prediction["prediction"]
            events.append({"type": "outcome", "id": f"e{i}", "model": MODEL, "time": known, "outcome": outcome})
            joined += 1
        for event in events:
            source = int(rng.integers(SOURCES))
            timed.append((event["time"], source, orjson.dumps(event)))
            if part < _COPIES_UNTIL and rng.random() < 0.05:
                timed.append((event["time"] + 1_000, (source + 1) % SOURCES, orjson.dumps(event)))
                duplicates += 1
        if i % 50 == 7:
            kind = i // 50 % len(KINDS)
            refused[KINDS[kind].reason] += 1
            timed.append((time, int(rng.integers(SOURCES)), spoil(kind, prediction | {"id": f"poison{i}"})))
    timed.sort(key=lambda event: event[0])
    end = timed[-1][0] + _CLOSING_MS
    closing = [_prediction(rng, _PREDICTIONS + source, end, 1.0) for source in range(SOURCES)]
    return Workload(
        records=[(source, value) for _, source, value in timed],
        closing=[(source, orjson.dumps(event)) for source, event in enumerate(closing)],
        predictions=_PREDICTIONS + SOURCES,
        joined=joined,
        duplicates=duplicates,
        refused=refused,
    )


def _prediction(rng: np.random.Generator, number: int, time: int, part: float) -> dict[str, Any]:
    features: dict[str, Any] = {
        "age": round(float(rng.normal(1.5 if part >= _AGE_MOVES else 0.0)), 4),
        "income": round(float(rng.normal()), 4),
        "plan": "xyz"[int(rng.integers(3))],
    }
    if part >= _INCOME_GOES and rng.random() < 0.3:
        del features["income"]
    return {
        "type": "prediction",
        "id": f"e{number}",
        "model": MODEL,
        "version": "1",
        "time": time,
        "features": features,
        "prediction": bool(rng.random() < 0.5),
        "score": round(float(rng.random() ** (2 if part >= _SCORE_MOVES else 1)), 4),
    }


async def clean_run(work: Workload, max_batch: int = 2_000) -> Said:
    """The verdicts of one process in memory that nothing ever happens to."""
    clock = ManualClock(_START + 1_000 * _CLOSING_MS)
    topics = {"events": SOURCES, "blocks": BLOCKS, "profiles": 1, "signals": 1, "deadletter": 1}
    log, store = MemoryLog(clock, topics), MemoryStore()
    reader, writer = MemoryReader(log), MemoryWriter(log)
    ingest = IngestStage(
        IngestSettings(sources=SOURCES, blocks_partitions=BLOCKS),
        Decoder(),
        store,
        reader,
        ProfileRegistry(reader, "profiles", clock, every_s=0),
    )
    judge = JudgeStage(
        JudgeSettings(reference_events=REFERENCE_EVENTS, reference_pairs=REFERENCE_PAIRS),
        reader,
        ProfileRegistry(reader, "profiles", clock, every_s=0),
    )
    settings = LoopSettings(max_batch=max_batch)
    first = Loop(ingest, MemoryConsumer(MemoryGroup(log, "events")), writer, store, clock, settings)
    second = Loop(judge, MemoryConsumer(MemoryGroup(log, "blocks")), writer, store, clock, settings)
    await first.start()
    await second.start()
    for records in (work.records, work.closing):
        for partition, value in records:
            log.append("events", partition, value)
        quiet = 0
        while quiet < 3:
            quiet = 0 if await first.step() + await second.step() else quiet + 1
    return {said.content["id"]: said.content for said in listen(log.records("signals", 0)).verdicts}
