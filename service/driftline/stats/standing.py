"""Where the monitors of a stream stand: what a person is told of each before anything has happened."""

from __future__ import annotations

from dataclasses import dataclass

from driftline.stats.cbe import RECOVERED
from driftline.stats.duplicate_rules import DuplicateRules
from driftline.stats.duplicates import MONITOR as DUPLICATES
from driftline.stats.joint import MONITOR as JOINT
from driftline.stats.joint_rules import JointRules
from driftline.stats.reach import expected_delay, smallest_shift, unit_events, unit_length
from driftline.stats.stream_monitors import Floats, StreamMonitors


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """Where a monitor stands. `why_not`: why it never pages (empty where it does). `log_evidence` is -inf before
    its first unit, and in alarm the log of the evidence that all is well again. `n`: values judged so far.
    `smallest_shift`: in words, what its reference lets it see; `a`, `b`: variance of a unit's mean over sigma^2
    is a/n + b or more; `delay`: values needed, about, to see a shift of 0.2 SD (None where that is within eps)."""

    monitor: str
    alarm: bool
    why_not: str
    log_evidence: float
    log_threshold: float
    n: int
    smallest_shift: str
    a: float
    b: float
    delay: int | None
    opinions: dict[str, int | None]


def standing_of(monitors: StreamMonitors, log_thresholds: Floats) -> list[MonitorStatus]:
    """The columns in order, then duplicates and the joint monitor where there are such; thresholds as in `update`."""
    columns = len(monitors.columns)
    found = [_of_column(monitors, j, float(log_thresholds[j])) for j in range(columns)]
    if monitors.duplicates is not None:
        why_not = monitors.section.why_not
        found.append(_of_duplicates(monitors.duplicates, why_not, float(log_thresholds[columns])))
    if monitors.joint is not None:
        found.append(_of_joint(monitors.joint, float(log_thresholds[-1])))
    return found


def _of_column(monitors: StreamMonitors, j: int, log_threshold: float) -> MonitorStatus:
    column, main, detector = monitors.columns[j], monitors.witnesses[monitors.main[j]], monitors.detector
    alarm = bool(detector.alarm[j] >= 0)
    unit = unit_events(column, monitors.section)
    length = unit_length(column, monitors.section, monitors.settings)
    return MonitorStatus(
        monitor=column.monitor,
        alarm=alarm,
        why_not=column.why_not,
        log_evidence=float(detector.recovery[j]) if alarm else detector.evidence(j),
        log_threshold=RECOVERED if alarm else log_threshold,
        n=int(monitors.judged[j]),
        smallest_shift=smallest_shift(column, main),
        a=main.a,
        b=main.b,
        delay=expected_delay(column, main, 0.2 * main.sigma, log_threshold, unit, length),
        opinions=monitors.noticed(j),
    )


def _of_duplicates(rules: DuplicateRules, why_not: str, log_threshold: float) -> MonitorStatus:
    share = rules.share
    return MonitorStatus(
        monitor=DUPLICATES,
        alarm=share.alarm,
        why_not=why_not,
        log_evidence=share.recovery if share.alarm else share.evidence,
        log_threshold=RECOVERED if share.alarm else log_threshold,
        n=rules.judged,
        smallest_shift=rules.reference.smallest_shift,
        a=rules.reference.inflation,
        b=0.0,
        delay=None,
        opinions={},
    )


def _of_joint(rules: JointRules, log_threshold: float) -> MonitorStatus:
    widest = max(rules.joint.witnesses, key=lambda witness: witness.b)
    return MonitorStatus(
        monitor=JOINT,
        alarm=rules.alarm,
        why_not=rules.joint.why_not,
        log_evidence=rules.log_evidence,
        log_threshold=RECOVERED if rules.alarm else log_threshold,
        n=rules.judged,
        smallest_shift=rules.smallest_shift(),
        a=widest.a,
        b=widest.b,
        delay=None,
        opinions={},
    )
