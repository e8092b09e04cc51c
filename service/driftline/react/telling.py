"""Whether people are told of a transition at once, and what happens of it otherwise.

An alert is published for every transition, with the reason why it is held where it is. Nothing that is held is lost:
what people have heard is remembered apart from how things stand, and ticks tell what differs (`cases.py`).
"""

from __future__ import annotations

from driftline.contracts.reactions import AlertStatus
from driftline.react.draft import Draft
from driftline.react.due import due, heard
from driftline.react.grouping import Found
from driftline.react.holding import held, subject_of
from driftline.react.incident import Incident
from driftline.react.saying import Details, Told, say
from driftline.react.settings import Timing

TOGETHER = "told with the others that show the same"


def timing(draft: Draft, found: Found) -> Timing:
    subject = subject_of(draft, found.model, found.version, found.incident)
    return draft.attempt("route", lambda: draft.settings.routes.timing(subject), Timing())


def transition(
    draft: Draft,
    found: Found,
    status: AlertStatus,
    details: Details | None = None,
    *,
    by: str | None = None,
    note: str | None = None,
) -> None:
    """An incident, to be changed, has opened, ended, or opened again."""
    incident, why = found.incident, _why_not(draft, found)
    if why is None and incident.heard is None:
        status = "open"
    say(draft, found, Told(status, why, by=by, note=note, details=details or {}))
    if why is None:
        heard(incident, status, draft.now, incident.severity)


def _why_not(draft: Draft, found: Found) -> str | None:
    """Why people are not told at once. What is told with others waits for a tick, which sees them all."""
    incident = found.incident
    if incident.part_of is not None or incident.leads:
        return TOGETHER
    status, why = due(
        incident,
        timing(draft, found),
        draft.settings,
        draft.now,
        lasts=found.open,
        news=incident.news,
        severity=incident.severity,
    )
    hold = held(draft, found.model, found.version, incident)
    return hold if hold is not None or status is not None else why


def changed(draft: Draft, model: str, version: str, incident: Incident) -> None:
    """Monitors have joined or left. Told at once where it may be, else left to a tick."""
    incident.untold = incident.news = True
    found = Found(model, version, incident)
    why = _why_not(draft, found)
    if why is None or draft.now - incident.told >= draft.settings.update_every_ms:
        transition(draft, found, "updated")


def tell_late(draft: Draft, model: str, version: str, incident: Incident) -> None:
    """Tell of an incident that has waited long enough and that nobody has heard of."""
    found = Found(model, version, incident)
    if incident.heard is None and _why_not(draft, found) is None:
        transition(draft, found, "open")
