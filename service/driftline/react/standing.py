"""How incidents stand, as people ask: read from the state, without taking anything over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from driftline.contracts.reactions import Cause
from driftline.contracts.records import Severity
from driftline.react.advice import advice
from driftline.react.asking import deferred
from driftline.react.cases import all_cases
from driftline.react.causes import by_gravity, rank
from driftline.react.draft import Draft
from driftline.react.grouping import Case, Found
from driftline.react.holding import held, silenced, subject_of
from driftline.react.incident import Incident
from driftline.react.settings import ReactSettings
from driftline.react.state import State
from driftline.react.subject import Subject

Stands = Literal["open", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One incident. Times are ms since the epoch, of event time. `heard`: how it stood when people were told last;
    `held`: why nobody is told at present, of what has
    ended where its end is still to be told; `told_with`: the incident that leads its case. `deferred`: why no
    retraining is asked for at present, where it asks for one."""

    id: str
    model: str
    version: str
    cause: Cause
    status: Stands
    severity: Severity
    team: str | None
    sentence: str
    advice: str
    deferred: str | None
    opened: int
    closed: int | None
    reopened: int
    alerts: int
    count: int
    monitors: list[str]
    heard: str | None
    heard_at: int | None
    acknowledged_by: str | None
    held: str | None
    told_with: str | None


def standings(state: State, settings: ReactSettings) -> list[Standing]:
    """Of all that are remembered: the open ones first, the gravest first."""
    draft = Draft(state, settings)
    found = [_standing(draft, case, one) for case in all_cases(draft) for one in case.all]
    return sorted(found, key=lambda s: (s.status == "resolved", -rank(s.severity), s.opened, s.id))


def _standing(draft: Draft, case: Case, found: Found) -> Standing:
    incident, leader = found.incident, case.leader.incident
    subject = subject_of(draft, found.model, found.version, incident)
    ranked = by_gravity(incident.firing.values())
    status: Stands = "resolved" if not found.open else "acknowledged" if leader.acked is not None else "open"
    return Standing(
        id=incident.id,
        model=found.model,
        version=found.version,
        cause=incident.cause,
        status=status,
        severity=incident.severity,
        team=subject.team,
        sentence=ranked[0].sentence if ranked and found.model else incident.sentence,
        advice=draft.attempt("advice", lambda: advice(draft, found.model, found.version, incident), ""),
        deferred=draft.attempt("advice", lambda: deferred(draft, found.model, found.version, incident), None),
        opened=incident.opened,
        closed=incident.closed,
        reopened=incident.reopened,
        alerts=incident.alerts,
        count=incident.count,
        monitors=incident.monitors if found.open else [],
        heard=leader.heard,
        heard_at=leader.heard_at if leader.heard is not None else None,
        acknowledged_by=leader.acked,
        held=held(draft, found.model, found.version, incident)
        if found.open
        else _kept_back(draft, leader, subject),
        told_with=leader.id if leader is not incident else None,
    )


def _kept_back(draft: Draft, leader: Incident, subject: Subject) -> str | None:
    return silenced(draft, subject) if leader.owed else None
