"""What a profile's monitors will notice, how fast, and what they never will: numbers for `driftline explain`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.stats.budget import weights
from driftline.stats.duplicates import MONITOR as DUPLICATES
from driftline.stats.joint import MONITOR
from driftline.stats.joint_rules import JointRules
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile
from driftline.stats.reach import expected_delay, main_witness, smallest_shift, unit_events, unit_length
from driftline.stats.section import ColumnReference, Section, SelfCheck
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import Witness

SHIFTS_SD: Final = (0.1, 0.2, 0.5, 1.0)
SHIFTS_POINTS: Final = (2.0, 5.0)
FROM_SUMS: Final = "learnt from sums: the worst laws of the means seen stand in for the true ones (safe, slower)"


class Delay(msgspec.Struct, frozen=True):
    """A shift of the main witness, in SDs of the feature or in percentage points (of a share above one half:
    downwards); values and hours (of event time, at
    the reference's traffic) until the alarm. None: it never pages."""

    shift: float
    unit: Literal["SD", "points"]
    values: int | None
    hours: float | None


class MonitorPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One monitor. `level`: nats of evidence at which it pages (None: never, and `why_not` says why); `weight`: its
    share of the budget; `watches`: what its delays speak of; `allowance`: the shift of it that never pages, in SDs or
    points; `a`, `b`: variance of a unit's mean over sigma^2 is a/n + b. `note` is of seasons, `remark` of anything
    else."""

    monitor: str
    stream: str
    weight: float
    level: float | None
    why_not: str
    watches: str
    unit_values: float
    unit_hours: float
    smallest_shift: str
    allowance: float
    a: float
    b: float
    delays: list[Delay]
    season: str | None
    note: str
    remark: str = ""


class StreamPlan(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    events: int
    hours: float
    pane_s: float
    check: SelfCheck | None
    monitors: list[MonitorPlan]


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What sharing the budget costs this model version: of `models` in all, of which one false alarm is allowed in
    `arl0` (of the plan's unit). Its monitors page at `nats` more than with a budget of their own. `later`: by so much
    of the delay, in the median of the shifts that `delays` are told of; None where none is ever noticed."""

    models: int
    arl0: float
    nats: float
    later: float | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`arl0`: of this model version. `limits`: hard limits in words, and why one cannot be judged by this profile."""

    model: str
    version: str
    profile: str
    revision: int
    arl0: float
    unit: Literal["days", "events"]
    fleet: FleetPlan | None
    streams: list[StreamPlan]
    limits: list[str]


def explain(profile: Profile, settings: DetectionSettings) -> Plan:
    """The plan of a profile under these settings."""
    sections = {PREDICTIONS: profile.predictions} | ({PAIRS: profile.pairs} if profile.pairs is not None else {})
    share = weights(
        {
            (stream, j): name
            for stream, section in sections.items()
            for j, (name, why_not) in enumerate(section.paging)
            if not why_not
        }
    )
    streams = [_stream(stream, section, share, settings) for stream, section in sections.items()]
    return Plan(
        model=profile.model,
        version=profile.version,
        profile=profile.id,
        revision=profile.revision,
        arl0=settings.arl0,
        unit=settings.unit,
        fleet=_fleet(profile, settings, streams),
        streams=streams,
        limits=ModelMonitors(profile, settings).limits(),
    )


def _stream(
    stream: str, section: Section, share: Mapping[tuple[str, int], float], settings: DetectionSettings
) -> StreamPlan:
    return StreamPlan(
        stream=stream,
        events=section.n,
        hours=_hours(section),
        pane_s=section.grid.pane_ms / 1000.0,
        check=section.check,
        monitors=[
            _monitor(section, column, share.get((stream, j), 0.0), settings)
            for j, column in enumerate(section.monitored)
        ]
        + _duplicates(section, share.get((stream, len(section.monitored)), 0.0), settings)
        + _joint(section, share.get((stream, len(section.paging) - 1), 0.0), settings),
    )


def _fleet(profile: Profile, settings: DetectionSettings, streams: list[StreamPlan]) -> FleetPlan | None:
    if settings.fleet_models is None:
        return None
    alone = explain(profile, msgspec.structs.replace(settings, fleet_models=None))
    delays = zip(_values(streams), _values(alone.streams), strict=True)
    ratios = sorted(shared / own - 1.0 for shared, own in delays if shared is not None and own is not None)
    return FleetPlan(
        models=settings.fleet_models,
        arl0=settings.asked,
        nats=math.log(settings.fleet_models),
        later=ratios[len(ratios) // 2] if ratios else None,
    )


def _values(streams: list[StreamPlan]) -> list[int | None]:
    return [delay.values for stream in streams for monitor in stream.monitors for delay in monitor.delays]


def _hours(section: Section) -> float:
    return max(section.end - section.start, section.grid.pane_ms) / 3_600_000.0


def _monitor(section: Section, column: ColumnReference, weight: float, settings: DetectionSettings) -> MonitorPlan:
    witness = column.witnesses[main_witness(column)]
    level = math.log(settings.arl0 / weight) if weight else math.inf
    values = unit_events(column, section)
    hours = _hours(section) / max(column.units, 1)
    return MonitorPlan(
        monitor=column.monitor,
        stream=section.stream,
        weight=weight,
        level=level if weight else None,
        why_not=column.why_not,
        watches="mean" if witness.form == "mean" else f"share of {witness.label}",
        unit_values=round(values, 1),
        unit_hours=hours,
        smallest_shift=smallest_shift(column, witness),
        allowance=100.0 * witness.eps if witness.share else witness.eps,
        a=witness.a,
        b=witness.b,
        delays=_delays(column, witness, level, values, unit_length(column, section, settings), hours),
        season=column.season.period if column.season is not None else None,
        note=column.note,
    )


def _duplicates(section: Section, weight: float, settings: DetectionSettings) -> list[MonitorPlan]:
    known = section.duplicates
    if known is None:
        return []
    return [
        MonitorPlan(
            monitor=DUPLICATES,
            stream=section.stream,
            weight=weight,
            level=math.log(settings.arl0 / weight) if weight else None,
            why_not=section.why_not,
            watches="share of predictions that come twice",
            unit_values=round(section.n / section.panes, 1),
            unit_hours=_hours(section) / section.panes,
            smallest_shift=known.smallest_shift,
            allowance=known.bound - known.share,
            a=known.inflation,
            b=0.0,
            delays=[],
            season=None,
            note="",
        )
    ]


def _joint(section: Section, weight: float, settings: DetectionSettings) -> list[MonitorPlan]:
    """What columns do together: how fast depends on how many are in it, so no delays are foretold."""
    joint = section.joint
    if joint is None:
        return []
    rules = JointRules(section, joint, settings.coalesce, in_events=settings.unit == "events")
    widest = max(joint.witnesses, key=lambda witness: witness.b)
    return [
        MonitorPlan(
            monitor=MONITOR,
            stream=section.stream,
            weight=weight,
            level=math.log(settings.arl0 / weight) if weight else None,
            why_not=joint.why_not,
            watches="what columns do together",
            unit_values=round(joint.rows / max(joint.units, 1), 1),
            unit_hours=_hours(section) / max(joint.units, 1),
            smallest_shift=rules.smallest_shift(),
            allowance=widest.eps / widest.sigma,
            a=widest.a,
            b=widest.b,
            delays=[],
            season=None,
            note="",
            remark=FROM_SUMS if joint.from_sums else "",
        )
    ]


def _delays(
    column: ColumnReference, witness: Witness, level: float, values: float, length: float, hours: float
) -> list[Delay]:
    found = []
    unit: Literal["SD", "points"] = "points" if witness.share else "SD"
    for shift in SHIFTS_POINTS if witness.share else SHIFTS_SD:
        if witness.share and witness.mu > 0.5:
            shift = -shift
        step = shift / 100.0 if witness.share else shift
        needed = expected_delay(column, witness, step, level, values, length)
        after = None if needed is None else needed / values * hours
        found.append(Delay(shift, unit, needed, after))
    return found
