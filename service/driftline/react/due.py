"""When people are to be told of an incident: pure arithmetic of event time.

Of one incident people hear, in T ms of its life, at most

    2 + 3 + 2 (1 + log2(1 + T/u) + T/q) + 1 + T/r + k

times, however it flaps: its opening and its first end; each time it is graver than they ever heard; changes, at gaps
that begin with u = `update_every_ms` and double up to q = `quietest_ms`, each with an escalation at the most; one more
escalation; repeats, r = `repeat_ms` apart; and once for each of k commands.
"""

from __future__ import annotations

from typing import Final

from driftline.contracts.reactions import AlertStatus
from driftline.contracts.records import Severity
from driftline.react.causes import rank
from driftline.react.incident import Incident
from driftline.react.settings import ReactSettings, Timing

GATHERING: Final = "gathering: told with what comes soon"
NEVER_TOLD: Final = "it ended before anybody was told of it"
QUIET: Final = "told lately: it changes often"
NOTHING_NEW: Final = "nothing is new"


def gap(steps: int, settings: ReactSettings) -> int:
    """Least ms until the next telling."""
    return min(settings.update_every_ms << min(steps, 32), settings.quietest_ms)


def due(
    incident: Incident,
    timing: Timing,
    settings: ReactSettings,
    now: int,
    *,
    lasts: bool,
    news: bool,
    severity: Severity,
) -> tuple[AlertStatus | None, str]:
    """What people should be told now; or None, and why. `incident`: the one that leads its case; `lasts`, `news` and
    `severity` are of the case."""
    rests = now - incident.heard_at < gap(incident.steps, settings)
    graver = rank(severity) > rank(incident.heard_severity)
    match incident.heard:
        case None if not lasts:
            return None, NEVER_TOLD
        case None:
            waits = now - incident.since < timing.group_wait_ms
            return (None, GATHERING) if waits else ("open", "")
        case "open" if not lasts:
            return (None, QUIET) if incident.reopened and rests else ("resolved", "")
        case "resolved" if not lasts:
            return None, NOTHING_NEW
        case "resolved":
            return (None, QUIET) if rests and not graver else ("reopened", "")
    if graver or (news and not rests):
        return "updated", ""
    if incident.acked is None:
        escalate, repeat = timing.escalate_ms, timing.repeat_ms
        if escalate is not None and not incident.escalated and now - incident.unacked >= escalate:
            return "escalated", ""
        if repeat is not None and now - incident.heard_at >= repeat:
            return "repeated", ""
    return None, QUIET if news else NOTHING_NEW


def heard(incident: Incident, status: AlertStatus, now: int, severity: Severity) -> None:
    """People have been told. Who has acknowledged it stands until they hear of its end: also one who did so before
    anybody was told."""
    graver = incident.heard is not None and rank(severity) > rank(incident.heard_severity)
    first = incident.heard is None or incident.heard == "resolved"
    match status:
        case "updated" | "reopened" if not graver:
            incident.steps += 1
        case "resolved" if incident.reopened:
            incident.steps += 1
        case "escalated":
            incident.escalated = True
        case _:
            pass
    incident.heard = "resolved" if status == "resolved" else "open"
    if first:
        incident.unacked, incident.escalated = now, False
    if status == "resolved":
        incident.acked = None
    incident.heard_at, incident.news, incident.muted = now, False, False
    incident.heard_severity = max(incident.heard_severity, severity, key=rank)
