"""Signals to incidents: one open incident for each model version and cause.

It opens with the first alarm, is updated when monitors join or leave, and is resolved when all of its monitors are.
One that alarms again within `reopen_ms` of its end is the same one. A signal whose sequence number is not above the
last one taken of its monitor is dropped: a late duplicate re-opens nothing.
"""

from __future__ import annotations

from typing import Final

from driftline.contracts.reactions import Cause, Witnessed, content_id
from driftline.contracts.records import Signal
from driftline.react.causes import cause_of
from driftline.react.draft import Draft
from driftline.react.grouping import Found
from driftline.react.incident import Incident
from driftline.react.saying import Details
from driftline.react.severity import grade
from driftline.react.state import Version
from driftline.react.telling import changed, tell_late, transition

REFERENCE: Final = "system:reference"
REFUSALS: Final = "system:invalid_events:"
SERVICE_ALARMS: Final = ("system:state_lost:", "system:gap:", REFUSALS)


def take_signal(draft: Draft, signal: Signal) -> Incident | None:
    """Fold a signal in. The incident that its monitor is now part of, if it is an alarm that is new."""
    if not signal.model:
        _about_the_service(draft, signal)
        return None
    version = draft.version(signal.model, signal.version)
    if signal.sequence <= version.last.get(signal.monitor, 0):
        draft.note("signal.repeated", monitor=signal.monitor, sequence=signal.sequence)
        return None
    version.last[signal.monitor] = signal.sequence
    version.seen = max(version.seen, signal.time)
    cause = cause_of(signal.monitor)
    if cause == "service":
        if signal.monitor == REFERENCE:
            _reference(draft, signal, version)
        return None
    if cause == "performance":
        version.labelled = True
    incident = version.incidents.get(cause)
    if signal.state == "alarm":
        return _alarm(draft, signal, version, incident)
    if signal.state == "resolved" and incident is not None and _leaves(draft, signal, incident):
        if incident.count:
            changed(draft, signal.model, signal.version, incident)
        else:
            resolve(draft, version, incident, signal.model, signal.version, signal.sentence)
    return None


def _leaves(draft: Draft, signal: Signal, incident: Incident) -> bool:
    """A monitor is no longer in alarm; False if it was not. People hear of the incident first, if that is due: ticks
    may be hours of event time apart."""
    if signal.monitor in incident.firing or signal.monitor in incident.more:
        tell_late(draft, signal.model, signal.version, incident)
    return incident.leave(signal.monitor)


def _alarm(draft: Draft, signal: Signal, version: Version, incident: Incident | None) -> Incident:
    witnessed = Witnessed(
        monitor=signal.monitor,
        signal=signal.id,
        severity=draft.attempt("severity", lambda: grade(signal, draft.settings), signal.severity),
        sentence=signal.sentence,
        time=signal.time,
        onset=signal.onset,
        effect=signal.effect,
        log_evidence=signal.evidence.log_evidence if signal.evidence else None,
        n=signal.evidence.n if signal.evidence else None,
        rows=signal.evidence.rows if signal.evidence else None,
        unit=signal.evidence.unit if signal.evidence else "days",
    )
    version.profile = signal.profile or version.profile
    if incident is not None:
        incident.join(witnessed)
        changed(draft, signal.model, signal.version, incident)
        return incident
    return opened(draft, signal.model, signal.version, cause_of(signal.monitor), witnessed)


def opened(
    draft: Draft, model: str, name: str, cause: Cause, witnessed: Witnessed, request: str | None = None
) -> Incident:
    """A new incident, or the last one of its kind again."""
    version = draft.version(model, name)
    last = version.closed.pop(cause, None)
    if last is not None and reopens(draft, last):
        last.reopen(draft.now, witnessed)
        last.request = request
        version.incidents[cause] = last
        transition(draft, Found(model, name, last), "reopened")
        return last
    if last is not None and last.part_of is None:
        draft.forgotten.append(last.id)
    incident = version.incidents[cause] = Incident(
        id=content_id("incident", model, name, cause, witnessed.signal),
        cause=cause,
        opened=draft.now,
        since=draft.now,
        sentence=witnessed.sentence,
        severity=witnessed.severity,
        told=draft.now,
        firing={witnessed.monitor: witnessed},
        request=request,
    )
    transition(draft, Found(model, name, incident), "open")
    return incident


def reopens(draft: Draft, last: Incident) -> bool:
    """Whether an alarm now belongs to an incident that has ended: it is recent, people have not heard of its end, or
    others are told with it."""
    recent = last.closed is not None and draft.now - last.closed < draft.settings.reopen_ms
    return recent or last.owed or last.leads > 0


def _reference(draft: Draft, signal: Signal, version: Version) -> None:
    """A first revision of a reference after another one: the monitors that were in alarm are no more."""
    if signal.details.get("stream") == "pairs":
        version.labelled = True
        return
    for incident in [i for i in version.incidents.values() if i.cause != "retraining"]:
        sentence = f"Its reference was learnt anew. {signal.sentence}"
        resolve(draft, version, incident, signal.model, signal.version, sentence)


def _about_the_service(draft: Draft, signal: Signal) -> None:
    """A lost store or a gap in a log: it has happened, nothing will say that it is over. The incident is resolved
    when nothing more has been said for a while. That too many records are refused is over when that is said."""
    if not draft.model("").hear(signal.id) or not signal.monitor.startswith(SERVICE_ALARMS):
        return
    service = draft.version("", "")
    witnessed = Witnessed(
        monitor=signal.monitor, signal=signal.id, severity=signal.severity, sentence=signal.sentence
    )
    incident = service.incidents.get("service")
    if signal.state == "resolved":
        if incident is not None and _leaves(draft, signal, incident):
            if incident.count:
                changed(draft, "", "", incident)
            else:
                resolve(draft, service, incident, "", "", signal.sentence)
        return
    if incident is None:
        opened(draft, "", "", "service", witnessed)
    else:
        incident.join(witnessed)
        incident.sentence = signal.sentence
        changed(draft, "", "", incident)
    service.seen = draft.now


def resolve(
    draft: Draft,
    version: Version,
    incident: Incident,
    model: str,
    name: str,
    sentence: str,
    details: Details | None = None,
    *,
    by: str | None = None,
    note: str | None = None,
) -> None:
    """End an incident and say so. All of these are to be changed."""
    tell_late(draft, model, name, incident)
    del version.incidents[incident.cause]
    incident.end(draft.now, sentence)
    version.closed[incident.cause] = incident
    transition(draft, Found(model, name, incident), "resolved", details, by=by, note=note)
