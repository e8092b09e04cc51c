"""Routes that answer the same for all, and what people hear of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from driftline.contracts.reactions import Alert, Command, Match, RetrainingRequested
from driftline.react.settings import DigestPlan, ReactSettings, Timing
from driftline.react.subject import Subject
from react.making import DAY, HOUR, MINUTE, T0, alerts

PATIENT = Timing(group_wait_ms=MINUTE, repeat_ms=12 * HOUR, escalate_ms=HOUR)


@dataclass(frozen=True)
class Same:
    """Everybody's incidents are told by one timing; models called `risk*` are the team risk's."""

    when: Timing = PATIENT
    plans: Sequence[DigestPlan] = ()
    digested: str = "*"

    def team(self, model: str) -> str | None:
        return "risk" if model.startswith("risk") else None

    def timing(self, subject: Subject) -> Timing:
        return self.when

    def digests(self) -> Sequence[DigestPlan]:
        return self.plans

    def in_digest(self, plan: DigestPlan, subject: Subject) -> bool:
        return fnmatchcase(subject.model, self.digested)


PATIENTLY = ReactSettings(retrain=False, routes=Same())
AT_ONCE = ReactSettings(retrain=False)


def told(said: Iterable[Alert | RetrainingRequested]) -> list[Alert]:
    """What people hear."""
    return [alert for alert in alerts(said) if alert.held is None]


def heard(said: Iterable[Alert | RetrainingRequested]) -> list[str]:
    return [f"{alert.model} {alert.cause}:{alert.status}" for alert in told(said)]


def key(alert: Alert) -> str:
    return alert.part_of or alert.incident


def silence(id: str, match: Match, *, lasts: int = DAY, since: int | None = None) -> Command:
    return Command(
        id=id,
        what="silence",
        time=T0 + 365 * DAY,
        match=match,
        for_ms=lasts,
        since=None if since is None else T0 + since,
        by="ann",
        reason="we know",
    )


def expire(id: str, silence: str) -> Command:
    return Command(id=id, what="expire", time=T0 + 365 * DAY, silence=silence, by="ann")


def ack(id: str, incident: str, by: str = "ann") -> Command:
    return Command(id=id, what="ack", time=T0 + 365 * DAY, incident=incident, by=by)


def resolve(id: str, incident: str) -> Command:
    return Command(id=id, what="resolve", time=T0 + 365 * DAY, incident=incident, by="ann", reason="a test run")
