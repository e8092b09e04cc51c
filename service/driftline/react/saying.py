"""How an incident stands, as an alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from driftline.contracts.reactions import Alert, AlertStatus, Also, content_id
from driftline.contracts.records import Severity
from driftline.react.advice import advice
from driftline.react.asking import deferred
from driftline.react.causes import by_gravity
from driftline.react.draft import Draft
from driftline.react.grouping import Found, upstreams
from driftline.react.incident import Incident

MAX_NAMED: Final = 10
MAX_EVIDENCE: Final = 5

Details = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Told:
    """What an alert says beside how its incident stands. `others`: what is told with it; `key`: the incident that
    leads them; `severity`: the gravest of them; `closed`: when the last of them ended."""

    status: AlertStatus
    held: str | None = None
    others: Sequence[Found] = ()
    key: str | None = None
    severity: Severity | None = None
    closed: int | None = None
    by: str | None = None
    note: str | None = None
    details: Details = field(default_factory=dict)


def say(draft: Draft, found: Found, told: Told) -> None:
    """Publish an alert; the incident, to be changed, remembers that."""
    incident = found.incident
    incident.alerts += 1
    incident.told, incident.untold = draft.now, False
    alert = alert_of(draft, found, told)
    incident.named = alert.monitors or incident.named
    draft.said.append(alert)


def alert_of(draft: Draft, found: Found, told: Told, *, salt: str = "alert") -> Alert:
    """`salt` keeps the ids of alerts apart that are not on the topic."""
    incident, model, version = found.incident, found.model, found.version
    ranked = by_gravity(incident.firing.values())
    part_of = told.key if told.key is not None and told.key != incident.id else None
    if part_of is None and incident.part_of is not None:
        part_of = incident.part_of.incident
    shared = draft.attempt("group", lambda: sorted(upstreams(incident, draft.settings.upstream)), list[str]())
    return Alert(
        id=content_id(salt, incident.id, told.status, incident.alerts, *(w.signal for w in ranked)),
        incident=incident.id,
        model=model,
        version=version,
        cause=incident.cause,
        status=told.status,
        severity=told.severity or incident.severity,
        sentence=_sentence(found, told.others),
        opened=incident.opened,
        time=draft.now,
        closed=incident.closed if told.closed is None else told.closed,
        monitors=[w.monitor for w in ranked[:MAX_NAMED]],
        count=incident.count,
        onset=min((w.onset for w in ranked if w.onset is not None), default=None),
        evidence=ranked[:MAX_EVIDENCE],
        request=incident.request,
        team=draft.attempt("route", lambda: draft.settings.routes.team(model), None),
        advice=draft.attempt("advice", lambda: advice(draft, model, version, incident), ""),
        deferred=draft.attempt("advice", lambda: deferred(draft, model, version, incident), None),
        upstream=", ".join(shared[:3]) or None,
        part_of=part_of,
        also=[
            Also(
                incident=other.incident.id,
                model=other.model,
                version=other.version,
                sentence=_first(other.incident),
            )
            for other in told.others[:MAX_NAMED]
        ],
        models=1 + len(told.others),
        by=told.by,
        note=told.note,
        held=told.held,
        details=told.details,
    )


def _first(incident: Incident) -> str:
    ranked = by_gravity(incident.firing.values())
    return ranked[0].sentence if ranked else incident.sentence


def _sentence(found: Found, others: Sequence[Found]) -> str:
    """What is said of the service itself says all."""
    incident, sentence = found.incident, found.incident.sentence
    if found.model and incident.firing:
        sentence = _first(incident)
        if more := incident.count - 1:
            of = f"of {found.model} {found.version} in alarm of the same cause"
            sentence += f" {more:,} other monitor{'s' * (more > 1)} {of}."
    if others:
        sentence += f" {len(others):,} other model{'s show' if len(others) > 1 else ' shows'} the same."
    return sentence
