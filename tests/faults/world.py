"""A whole Driftline in memory, in which a crash is data: workers live and die over one log and one store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from driftline.clock import ManualClock
from driftline.contracts.decode import Decoder
from driftline.ingest.stage import IngestSettings, IngestStage
from driftline.judge.stage import JudgeSettings, JudgeStage
from driftline.registry import ProfileRegistry
from driftline.runtime.loop import Loop
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter
from driftline.runtime.memory_store import MemoryServer, MemoryStore
from driftline.runtime.observe import Observer
from driftline.runtime.owned import LoopSettings
from driftline.runtime.stage import Counts
from driftline.runtime.store import Slot
from driftline.stats.settings import DetectionSettings
from faults.data import EVENTS, PAIRS, T0, Message, partition_of, tail
from faults.traps import Action, Killed, TrappedConsumer, TrappedStore, TrappedWriter, Traps

StageName = Literal["ingest", "judge"]
STAGES: tuple[StageName, ...] = ("ingest", "judge")
NOW = T0 + 10**9
PATIENCE = 5_000


class Notes(Observer):
    """Keeps what it is told that a test may ask for."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [note for note in self.told if note[0] == what]

    def committed(self, stage: str, partition: int, verdict: str, size: int) -> None:
        self.told.append(("committed", verdict, partition))

    def counted(self, stage: str, partition: int, counts: Counts) -> None:
        self.told.append(("counted", stage, partition, counts))

    def owned(self, stage: str, partition: int, start: int, again: int) -> None:
        self.told.append(("owned", partition, start, again))

    def position(self, stage: str, partition: int, next_offset: int, end: int | None) -> None:
        self.told.append(("position", stage, partition, next_offset, end))

    def released(self, stage: str, partition: int, reason: str) -> None:
        self.told.append(("released", partition, reason))

    def state_lost(self, stage: str, partition: int, detail: str) -> None:
        self.told.append(("state_lost", partition))

    def gap(self, stage: str, partition: int, detail: str) -> None:
        self.told.append(("gap", partition, detail))

    def config_changed(self, stage: str, partition: int) -> None:
        self.told.append(("config_changed", partition))

    def quarantined(self, stage: str, partition: int, field: str) -> None:
        self.told.append(("quarantined", partition, field))

    def paused(self, stage: str, partition: int, reason: str, seconds: float | None) -> None:
        self.told.append(("paused", partition, reason))

    def resumed(self, stage: str, partition: int) -> None:
        self.told.append(("resumed", partition))

    def fold_failed(self, stage: str, partition: int, offset: int, error: str) -> None:
        self.told.append(("fold_failed", partition, offset, error))

    def stalled(self, stage: str, partition: int, position: int, end: int) -> None:
        self.told.append(("stalled", partition, position, end))

    def retrying(self, stage: str, what: str, attempt: int, error: str) -> None:
        self.told.append(("retrying", what, attempt))


@dataclass
class Worker:
    """One process of one stage. `task` is its step, where that is held up somewhere."""

    stage: StageName
    loop: Loop[Any, Any]
    consumer: TrappedConsumer
    traps: Traps
    notes: Notes
    alive: bool = True
    task: asyncio.Task[int] | None = None
    go: asyncio.Event | None = None

    @property
    def member(self) -> MemoryConsumer:
        inner = self.consumer.inner
        assert isinstance(inner, MemoryConsumer)
        return inner


@dataclass(frozen=True)
class Shape:
    """How a world is set up."""

    partitions: int = 2
    blocks: int = 2
    max_batch: int = 500
    judge_batch: int = 8
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(revoke_deadline_s=0.02, commit_every_s=0.0))
    ingest: IngestSettings = field(default_factory=lambda: IngestSettings(sources=2, blocks_partitions=2))
    judge: JudgeSettings = field(
        default_factory=lambda: JudgeSettings(
            reference_events=EVENTS,
            reference_pairs=PAIRS,
            detection=DetectionSettings(min_reference_panes=16),
        )
    )
    registry_every_s: float = 0.0


class World:
    """Log, store, clock and workers; time moves only in `sleep`, which is what loops wait with."""

    def __init__(self, shape: Shape | None = None) -> None:
        self.shape = shape = shape or Shape()
        self.clock = ManualClock(NOW)
        self.clock.advance(1)
        self.log = MemoryLog(
            self.clock,
            {"events": shape.partitions, "blocks": shape.blocks, "profiles": 1, "signals": 1, "deadletter": 1},
        )
        self.server = MemoryServer()
        self.groups = {"ingest": MemoryGroup(self.log, "events"), "judge": MemoryGroup(self.log, "blocks")}
        self.workers: list[Worker] = []
        self.snapshots: list[object] = []
        self.waking: list[tuple[int, Action]] = []
        self.slept = 0
        self.tail = 0

    # Input

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.log.append("events", partition_of(message, self.shape.partitions), message.value)

    # Workers

    async def start(
        self, stage: StageName, *, loop: LoopSettings | None = None, store: MemoryStore | None = None
    ) -> Worker:
        """A new process. It joins the group; the rebalance comes with the next poll of any member."""
        shape, traps, notes = self.shape, Traps(), Notes()
        held = TrappedStore(store or MemoryStore(self.server), traps)
        reader, writer = MemoryReader(self.log), TrappedWriter(MemoryWriter(self.log), traps)
        registry = ProfileRegistry(reader, "profiles", self.clock, shape.registry_every_s)
        made: Any
        if stage == "ingest":
            settings = replace(shape.ingest, sources=shape.partitions, blocks_partitions=shape.blocks)
            made = IngestStage(settings, Decoder(), held, reader, registry)
        else:
            made = JudgeStage(shape.judge, reader, registry)
        consumer = TrappedConsumer(MemoryConsumer(self.groups[stage]), traps)
        batch = shape.max_batch if stage == "ingest" else shape.judge_batch
        looped = replace(loop or shape.loop, max_batch=batch)
        running = Loop(made, consumer, writer, held, self.clock, looped, notes, sleep=self.sleep)
        worker = Worker(stage, running, consumer, traps, notes)
        self.workers.append(worker)
        await running.start()
        return worker

    def of(self, stage: StageName) -> list[Worker]:
        return [w for w in self.workers if w.stage == stage and w.alive and w.task is None]

    async def step(self, worker: Worker) -> int:
        """One round; a worker that is killed in it is gone, and its group notices."""
        try:
            return await worker.loop.step()
        except Killed:
            self.bury(worker)
            return 0

    def bury(self, worker: Worker) -> None:
        worker.alive = False
        self.workers.remove(worker)
        group = self.groups[worker.stage]
        if worker.member in group.members:
            group.expel(worker.member)

    async def hold(self, worker: Worker, point: str, skip: int = 0) -> bool:
        """Step until the worker stands at `point`, and leave it there as if it were stopped; its group goes on
        without it. False if it does not come there."""
        go, there = asyncio.Event(), asyncio.Event()

        async def stand() -> None:
            there.set()
            await go.wait()

        worker.traps.set(point, stand, skip)
        worker.task = asyncio.create_task(worker.loop.step())
        waiting = asyncio.create_task(there.wait())
        await asyncio.wait({worker.task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if worker.task.done():
            await self.settle(worker)
            worker.traps.armed.clear()
            return False
        worker.go = go
        group = self.groups[worker.stage]
        if worker.member in group.members:
            group.expel(worker.member)
        return True

    async def settle(self, worker: Worker) -> None:
        """Let a held step go on to its end; the worker then notices that it had been expelled."""
        assert worker.task is not None
        if worker.go is not None:
            worker.go.set()
        task, worker.task = worker.task, None
        try:
            await task
        except Killed:
            self.bury(worker)
            return
        group = self.groups[worker.stage]
        if worker.member not in group.members:
            await group.rejoin(worker.member)

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        assert self.slept < PATIENCE, "the loops wait for ever"
        self.clock.advance(seconds)
        due = [entry for entry in self.waking if entry[0] <= self.slept]
        for entry in due:
            self.waking.remove(entry)
            await entry[1]()
        await asyncio.sleep(0)

    def after_sleeps(self, count: int, action: Action) -> None:
        """Do something when the loops have waited so many times from now."""
        self.waking.append((self.slept + count, action))

    # Faults of the store

    def snapshot(self) -> None:
        self.snapshots.append(self.server.snapshot())

    def rollback(self, back: int = 0) -> None:
        """To the newest snapshot but `back`; newer ones are gone, as they are for Redis."""
        if self.snapshots:
            del self.snapshots[max(1, len(self.snapshots) - back) :]
            self.server.restore(self.snapshots[-1])

    def wipe(self) -> None:
        self.snapshots.clear()
        self.server.wipe()

    # To the end

    async def quiet(self) -> None:
        """Step every worker (one of each stage at least) until nothing moves."""
        still = rounds = 0
        while still < 3:
            rounds += 1
            assert rounds < PATIENCE, "the loops never come to rest"
            moved = 0
            for stage in STAGES:
                if not self.of(stage):
                    await self.start(stage)
                for worker in self.of(stage):
                    moved += await self.step(worker)
            still = 0 if moved else still + 1

    async def drain(self, end: int | None = None) -> None:
        """Fold everything; with `end`, send the tail behind it, so that every pane is judged; then let every
        partition fall idle."""
        await self.quiet()
        if end is not None:
            closing = tail(end, self.shape.partitions)
            self.publish(closing)
            self.tail += len(closing)
            await self.quiet()
        self.clock.advance(self.shape.loop.idle_after_s + 1)
        await self.quiet()

    # Looking in

    def fields(self, stage: StageName) -> dict[int, dict[str, bytes]]:
        slots = self.server.contents.slots
        return {slot.partition: dict(r.fields) for slot, r in slots.items() if slot.stage == stage}

    def stands(self, stage: StageName, partition: int) -> int | None:
        record = self.server.contents.slots.get(Slot(stage, partition))
        return None if record is None else record.next
