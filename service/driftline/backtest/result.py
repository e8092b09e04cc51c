"""What a backtest has found, and its JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import DeadLetter, Effect, Signal
from driftline.registry import ModelKey
from driftline.stats.profile import Profile


class Summary(msgspec.Struct, kw_only=True):
    """`events`: predictions taken, `outcomes`: outcomes taken, `refused`: records the door has refused, `late`:
    events whose pane had been judged when they came. `seconds` of wall time."""

    events: int = 0
    outcomes: int = 0
    refused: int = 0
    late: int = 0
    seconds: float = 0.0


class MonitorLine(msgspec.Struct, kw_only=True):
    """A monitor that was watched. Times in ms of event time, null where there was no alarm. `resolved`: how many of
    the alarms have ended. `why_not`: why it never pages."""

    model: str
    version: str
    monitor: str
    alarms: int = 0
    first_alarm: int | None = None
    onset: int | None = None
    sentence: str | None = None
    resolved: int = 0
    n: int = 0
    why_not: str = ""


class Alarm(msgspec.Struct, kw_only=True):
    """One alarm. `time`: end of the pane that brought it, `event_index`: index of the last prediction before that,
    in order of event time, from 0; `onset_index` likewise of the onset."""

    model: str
    version: str
    monitor: str
    detector: str | None
    time: int
    event_index: int | None
    onset: int | None
    sentence: str
    severity: str
    onset_index: int | None = None
    resolved: int | None = None
    effect: Effect | None = None
    log_evidence: float | None = None
    n: int | None = None
    id: str = ""


@dataclass
class Refusals:
    """What was refused: how often by reason, and the first few with file and line."""

    by_reason: Counter[str] = field(default_factory=Counter)
    first: list[tuple[str, DeadLetter]] = field(default_factory=list)


@dataclass
class Result:
    """`notes` are what a person should know of the run; `profiles` what was judged by."""

    summary: Summary = field(default_factory=Summary)
    signals: list[Signal] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    requests: list[RetrainingRequested] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    watched: dict[ModelKey, dict[str, tuple[int, str]]] = field(default_factory=dict)
    """(values judged, why it never pages) of every monitor."""
    delays: list[int | None] = field(default_factory=list)
    """Values until each monitor that may page sees a shift of 0.2 SD, about; None where that is within its eps."""
    tallies: Counter[str] = field(default_factory=Counter)
    profiles: dict[ModelKey, Profile] = field(default_factory=dict)
    times: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    first: int = 0
    last: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def days(self) -> float:
        """Event time that was judged, of the model that was judged longest."""
        begins = [profile.judged_from for profile in self.profiles.values()]
        return max(0.0, (self.last - max(self.first, min(begins, default=0))) / 86_400_000)

    def alarms(self) -> list[Alarm]:
        """In order of time."""
        found: list[Alarm] = []
        open_: dict[tuple[str, str, str], Alarm] = {}
        for signal in sorted(self.signals, key=lambda s: (s.time, s.model, s.version, s.monitor, s.sequence)):
            key = (signal.model, signal.version, signal.monitor)
            if signal.state == "alarm":
                alarm = open_[key] = self._alarm(signal)
                found.append(alarm)
            elif signal.state == "resolved" and key in open_:
                open_.pop(key).resolved = signal.time
        return found

    def _alarm(self, signal: Signal) -> Alarm:
        evidence = signal.evidence
        return Alarm(
            model=signal.model,
            version=signal.version,
            monitor=signal.monitor,
            detector=evidence.detector if evidence else None,
            time=signal.time,
            event_index=self.index_of(signal.time),
            onset=signal.onset,
            onset_index=None if signal.onset is None else self.index_of(signal.onset),
            sentence=signal.sentence,
            severity=signal.severity,
            effect=signal.effect,
            log_evidence=evidence.log_evidence if evidence else None,
            n=evidence.n if evidence else None,
            id=signal.id,
        )

    def index_of(self, time: int) -> int | None:
        """Index of the last prediction before `time`; None where only blocks are known."""
        if not len(self.times):
            return None
        return max(0, int(np.searchsorted(self.times, time)) - 1)

    def monitors(self) -> list[MonitorLine]:
        """Every monitor that was watched, those with alarms too that no profile names."""
        lines: dict[tuple[str, str, str], MonitorLine] = {}
        for (model, version), monitors in sorted(self.watched.items()):
            for monitor, (n, why_not) in sorted(monitors.items()):
                lines[model, version, monitor] = MonitorLine(
                    model=model, version=version, monitor=monitor, n=n, why_not=why_not
                )
        for alarm in self.alarms():
            key = (alarm.model, alarm.version, alarm.monitor)
            line = lines.setdefault(key, MonitorLine(model=key[0], version=key[1], monitor=key[2]))
            line.alarms += 1
            line.resolved += alarm.resolved is not None
            if line.first_alarm is None:
                line.first_alarm, line.onset, line.sentence = alarm.time, alarm.onset, alarm.sentence
        return list(lines.values())

    def to_json(self, truth: Any = None) -> bytes:
        """`summary`, `monitors`, `alarms`, `retraining`; with known changes `truth` beside them."""
        body: dict[str, Any] = {
            "summary": self.summary,
            "monitors": self.monitors(),
            "alarms": self.alarms(),
            "retraining": self.requests,
        }
        if truth is not None:
            body["truth"] = truth
        return msgspec.json.format(msgspec.json.encode(body), indent=1)


def per_month(count: int, days: float) -> float:
    """So many in 30 days of event time."""
    return 30.0 * count / days if days > 0 else 0.0
