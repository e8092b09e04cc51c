"""What metrics say of events is what was sent: of a whole run, from the events to the signals."""

from __future__ import annotations

from driftline.clock import ManualClock
from driftline.react.incident import Incident
from driftline.react.metrics import ReactMetrics
from driftline.react.state import Model, State, Version
from driftline.runtime.memory_log import MemoryReader
from driftline.telemetry.declared_labels import MODEL
from driftline.telemetry.loop_metrics import LoopMetrics
from driftline.telemetry.metric import OTHER
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress
from faults.data import MODELS, feed
from faults.world import Shape, World


def observer(stage: str, metrics: Metrics) -> LoopMetrics:
    clock = ManualClock(0)
    return (ReactMetrics if stage == "react" else LoopMetrics)(stage, metrics, Progress(60, clock), clock)


async def test_a_run_is_counted_as_it_was() -> None:
    """Mutation: leave the call of `Observer.counted` out of `Cycle.process`; everything is 0."""
    sent, world, metrics = feed(), World(Shape()), Metrics(process=False, strict=True)
    world.publish(sent.messages)
    await world.drain(sent.end)
    loops = {stage: observer(stage, metrics) for stage in ("ingest", "judge")}
    signals = 0
    for worker in world.workers:
        for _, stage, partition, counts in worker.notes.of("counted"):
            loops[stage].counted(stage, partition, counts)
            signals += sum(n for (name, _), n in counts.items() if name == "driftline_signals_total")
    truth = sent.truth
    for reason, n in truth.refused.items():
        assert metrics.value("driftline_refused_total", reason=reason) == n
    predictions = metrics.value("driftline_duplicates_total", what="prediction")
    assert predictions == truth.duplicate_predictions.total() > 0
    assert metrics.value("driftline_join_total", met="paired") == truth.pairs.total()
    assert signals == (await MemoryReader(world.log).bounds("signals"))[0].end > 0
    assert metrics.value("driftline_signals_total", state="alarm") > 0
    assert metrics.value("driftline_panes_total") > 100
    assert metrics.value("driftline_late_events_total") == 0
    text = metrics.render().decode()
    watched = [
        line for line in text.splitlines() if line.startswith("driftline_models{") and 'state="watched"' in line
    ]
    assert sum(float(line.split()[-1]) for line in watched) == len(MODELS)
    stamp = metrics.value("driftline_watermark_timestamp_seconds", stage="ingest", partition=0)
    assert abs(stamp - sent.end / 1000) < 3_600


async def test_the_lag_of_a_busy_partition_is_told() -> None:
    """Mutation: leave `_report` out of `Loop.step`; only a partition without work says where it stands."""
    sent, world = feed(), World(Shape(max_batch=50))
    world.publish(sent.messages)
    worker = await world.start("ingest")
    for _ in range(3):
        await world.step(worker)
    told = worker.notes.of("position")
    assert told
    assert all(stage == "ingest" and next_offset < end for _, stage, _, next_offset, end in told)


def incident(cause: str, severity: str) -> Incident:
    return Incident(id="i", cause=cause, opened=0, sentence="", severity=severity, told=0)  # type: ignore[arg-type]


def test_open_incidents_are_shown_by_model_the_gravest_first() -> None:
    """Mutation: do not sort in `ReactMetrics.stands`; the critical one of the last model is under `other`."""
    metrics = Metrics(process=False)
    react = observer("react", metrics)
    assert isinstance(react, ReactMetrics)
    state = State()
    for i in range(MODEL.cap + 5):
        last = i == MODEL.cap + 4
        version = Version(incidents={"data": incident("data", "critical" if last else "warning")})
        state.models[f"m{i:03}"] = Model(f"m{i:03}", versions={"1": version})
    react.stands(state)
    name = f"m{MODEL.cap + 4}"
    assert metrics.value("driftline_incidents_open", model=name, cause="data", severity="critical") == 1
    assert metrics.value("driftline_incidents_open", model=OTHER, cause="data", severity="warning") == 5
    react.released("react", 0, "revoked")
    assert "driftline_incidents_open{" not in metrics.render().decode()
