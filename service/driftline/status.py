"""How the service stands, read from the store and the log without taking anything over."""

from __future__ import annotations

from dataclasses import dataclass, field

from driftline.config import Config
from driftline.judge.stage import JudgeStage, is_watched
from driftline.registry import ProfileRegistry
from driftline.runtime.log import LogReader
from driftline.runtime.store import JoinTotals, Slot, Store
from driftline.wiring import judge_settings


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """Where a stage stands in one input partition. `next` None: it has never been read."""

    stage: str
    partition: int
    next: int | None
    end: int

    @property
    def lag(self) -> int:
        return max(0, self.end - (self.next or 0))


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model version as judge knows it."""

    model: str
    version: str
    profile: str | None
    revision: int
    source: str
    waiting_for: str
    predictions: int
    joined: int
    late: int
    not_judged: int
    """Rows that came when too many waited for a reference, or too late for the former one."""
    alarms: list[str]
    monitors: int
    moved: list[list[str]]
    """The monitors in alarm, the weightiest first, in groups of what looks like one cause."""
    self_check: float | None
    """Realised over requested ARL0 of its reference, at the level that could be tried: more is better."""
    limits: list[str]
    """Each hard limit in words."""
    watched: bool
    """Whether it was judged in the last day of event time."""


@dataclass(frozen=True, slots=True)
class Status:
    partitions: list[PartitionStatus]
    models: list[ModelStatus]
    refused: dict[str, int]
    join: JoinTotals
    watermark: int | None
    not_admitted: int
    gaps: int
    fleet_models: int | None
    """Model versions that share the budget of false alarms, as configured."""
    unreadable: list[str] = field(default_factory=list)


async def collect(config: Config, reader: LogReader, store: Store, registry: ProfileRegistry) -> Status:
    """One look at everything; Transient where the store or the log is away."""
    judge = JudgeStage(judge_settings(config), reader, registry)
    events = await reader.bounds(config.topics.events[0])
    blocks = await reader.bounds(config.topics.blocks)
    partitions: list[PartitionStatus] = []
    for partition, bounds in sorted(events.items()):
        snapshot = await store.read(Slot("ingest", partition))
        partitions.append(PartitionStatus("ingest", partition, snapshot.next, bounds.end))
    models: list[ModelStatus] = []
    refused: dict[str, int] = {}
    unreadable: list[str] = []
    watermarks: list[int] = []
    not_admitted = gaps = 0
    for partition, bounds in sorted(blocks.items()):
        snapshot = await store.read(Slot("judge", partition))
        partitions.append(PartitionStatus("judge", partition, snapshot.next, bounds.end))
        state, broken = judge.load(partition, snapshot.fields)
        unreadable += [f"judge/{partition}: {name}" for name in broken]
        for reason, count in state.ledger.refused.items():
            refused[reason] = refused.get(reason, 0) + count
        not_admitted += state.ledger.not_admitted
        gaps += state.ledger.gaps
        if state.models:
            watermarks.append(state.ledger.closed)
        for model in state.models.values():
            watched = model.monitors
            statuses = watched.describe() if watched else []
            profile = model.profile
            missing = [name for name in ("predictions", "pairs") if model.section(name) is None]
            models.append(
                ModelStatus(
                    model=model.model,
                    version=model.version,
                    profile=profile.id if profile else None,
                    revision=profile.revision if profile else 0,
                    source=profile.source if profile else "",
                    waiting_for=", ".join(f"{name} ({model.raw_rows(name):,} so far)" for name in missing),
                    predictions=model.tallies.get("predictions", 0),
                    joined=model.tallies.get("outcomes_joined", 0),
                    late=model.tallies.get("late", 0) + model.tallies.get("backfilled", 0),
                    not_judged=model.tallies.get("onboarding_overflow", 0) + model.tallies.get("stale_grid", 0),
                    alarms=[s.monitor for s in statuses if s.alarm] + (watched.broken_limits() if watched else []),
                    monitors=len(statuses),
                    moved=[[one.monitor for one in g] for g in model.monitors.moved()] if model.monitors else [],
                    self_check=profile.self_check if profile else None,
                    limits=watched.limits() if watched else [],
                    watched=is_watched(model, state.ledger.closed),
                )
            )
    return Status(
        partitions=partitions,
        models=sorted(models, key=lambda m: (m.model, m.version)),
        refused=dict(sorted(refused.items())),
        join=await store.join_totals(),
        watermark=min(watermarks) if watermarks else None,
        not_admitted=not_admitted,
        gaps=gaps,
        fleet_models=config.detection.fleet_models,
        unreadable=unreadable,
    )
