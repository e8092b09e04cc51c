"""Signals to incidents: one open incident for each model version and cause.

It opens with the first alarm, is updated when monitors join or leave (at most every `update_every_ms` of event
time: 5,000 features that move in one minute are two alerts), and is resolved when all of its monitors are. A signal
whose sequence number is not above the last one taken of its monitor is dropped: a late duplicate re-opens nothing.
"""

from __future__ import annotations

from typing import Final

from driftline.contracts.reactions import Alert, AlertStatus, Witnessed, content_id
from driftline.contracts.records import Signal
from driftline.react.causes import by_gravity, cause_of
from driftline.react.draft import Draft
from driftline.react.state import Incident, Version

MAX_NAMED: Final = 10
MAX_EVIDENCE: Final = 5
REFERENCE: Final = "system:reference"
REFUSALS: Final = "system:invalid_events:"
SERVICE_ALARMS: Final = ("system:state_lost:", "system:gap:", REFUSALS)

Details = dict[str, str | int | float | bool | None]


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
    if signal.state == "resolved" and incident is not None and incident.leave(signal.monitor):
        if incident.count:
            changed(draft, incident, signal.model, signal.version)
        else:
            resolve(draft, version, incident, signal.model, signal.version, signal.sentence)
    return None


def _alarm(draft: Draft, signal: Signal, version: Version, incident: Incident | None) -> Incident:
    witnessed = Witnessed(
        monitor=signal.monitor,
        signal=signal.id,
        severity=signal.severity,
        sentence=signal.sentence,
        time=signal.time,
        onset=signal.onset,
        effect=signal.effect,
        log_evidence=signal.evidence.log_evidence if signal.evidence else None,
        n=signal.evidence.n if signal.evidence else None,
    )
    version.profile = signal.profile or version.profile
    if incident is None:
        cause = cause_of(signal.monitor)
        incident = version.incidents[cause] = Incident(
            id=content_id("incident", signal.model, signal.version, cause, signal.id),
            cause=cause,
            opened=draft.now,
            sentence=signal.sentence,
            severity=signal.severity,
            told=draft.now,
            firing={signal.monitor: witnessed},
        )
        tell(draft, incident, "open", signal.model, signal.version)
    else:
        incident.join(witnessed)
        changed(draft, incident, signal.model, signal.version)
    return incident


def _reference(draft: Draft, signal: Signal, version: Version) -> None:
    """A first revision of a reference after another one: the monitors that were in alarm are no more."""
    if signal.details.get("stream") == "pairs":
        version.labelled = True
        return
    for incident in list(version.incidents.values()):
        resolve(
            draft,
            version,
            incident,
            signal.model,
            signal.version,
            f"Its reference was learnt anew. {signal.sentence}",
        )


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
        if incident is not None and incident.leave(signal.monitor):
            if incident.count:
                changed(draft, incident, "", "")
            else:
                resolve(draft, service, incident, "", "", signal.sentence)
        return
    if incident is None:
        incident = service.incidents["service"] = Incident(
            id=content_id("incident", "", "", "service", signal.id),
            cause="service",
            opened=draft.now,
            sentence=signal.sentence,
            severity=signal.severity,
            told=draft.now,
            firing={signal.monitor: witnessed},
        )
        tell(draft, incident, "open", "", "")
    else:
        incident.join(witnessed)
        incident.sentence = signal.sentence
        changed(draft, incident, "", "")
    service.seen = draft.now


def changed(draft: Draft, incident: Incident, model: str, version: str) -> None:
    """Tell at once, or leave it to a tick where the last alert is too recent."""
    incident.untold = True
    if draft.now - incident.told >= draft.settings.update_every_ms:
        tell(draft, incident, "updated", model, version)


def overdue(incident: Incident, now: int, every_ms: int) -> bool:
    return incident.untold and now - incident.told >= every_ms


def resolve(
    draft: Draft,
    version: Version,
    incident: Incident,
    model: str,
    name: str,
    sentence: str,
    details: Details | None = None,
) -> None:
    """Close an incident and say so."""
    del version.incidents[incident.cause]
    incident.sentence, incident.firing, incident.more = sentence, {}, {}
    tell(draft, incident, "resolved", model, name, details)


def tell(
    draft: Draft,
    incident: Incident,
    status: AlertStatus,
    model: str,
    version: str,
    details: Details | None = None,
) -> None:
    """Say how an incident stands."""
    ranked = by_gravity(incident.firing.values())
    sentence = ranked[0].sentence if ranked and model else incident.sentence
    if others := incident.count - 1 if model and ranked else 0:
        sentence += (
            f" {others:,} other monitor{'s' * (others > 1)} of {model} {version} in alarm of the same cause."
        )
    incident.alerts += 1
    incident.told, incident.untold = draft.now, False
    signals = [w.signal for w in ranked]
    draft.said.append(
        Alert(
            id=content_id("alert", incident.id, status, incident.alerts, *signals),
            incident=incident.id,
            model=model,
            version=version,
            cause=incident.cause,
            status=status,
            severity=incident.severity,
            sentence=sentence,
            opened=incident.opened,
            time=draft.now,
            monitors=[w.monitor for w in ranked[:MAX_NAMED]],
            count=incident.count,
            onset=min((w.onset for w in ranked if w.onset is not None), default=None),
            evidence=ranked[:MAX_EVIDENCE],
            request=incident.request,
            details=details or {},
        )
    )
