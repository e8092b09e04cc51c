"""Why nobody is told of an incident just now: a silence, a maintenance window, or what explains it."""

from __future__ import annotations

from driftline.react.draft import Draft
from driftline.react.incident import Incident
from driftline.react.inhibition import EXPLAINED, explains
from driftline.react.silences import fits, under
from driftline.react.subject import Subject


def subject_of(draft: Draft, model: str, version: str, incident: Incident) -> Subject:
    team = draft.attempt("route", lambda: draft.settings.routes.team(model), None)
    return Subject(model, version, incident.cause, incident.severity, team, incident.monitors)


def held(draft: Draft, model: str, version: str, incident: Incident) -> str | None:
    """The reason; None: people may be told. The end of what they were told of is not explained away."""
    if incident.closed is None:
        reason = draft.attempt("inhibit", lambda: _inhibited(draft, model, version, incident), None)
        if reason is not None:
            return reason
    subject = subject_of(draft, model, version, incident)
    return draft.attempt("silence", lambda: silenced(draft, subject), None)


def silenced(draft: Draft, subject: Subject) -> str | None:
    for silence in draft.policy.silences.values():
        if silence.active(draft.now) and fits(silence.match, subject):
            return f"silenced by {silence.by}: {silence.reason} (silence {silence.id})"
    for window in draft.settings.maintenance:
        if fits(window.match, subject) and under(window, draft.now):
            return f"maintenance ({window.schedule}): {window.reason}"
    return None


def _inhibited(draft: Draft, model: str, version: str, incident: Incident) -> str | None:
    if incident.cause not in EXPLAINED:
        return None
    known = draft.look(model)
    quality = known.versions[version].incidents.get("quality") if known and version in known.versions else None
    if quality is None or not explains(quality, incident):
        return None
    return f"explained by the incident of quality {quality.id}"
