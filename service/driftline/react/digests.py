"""Digests: how things stand, when a route's crontab says so. Made of what is remembered of incidents, so nothing has to
be kept for them; what has ended is listed for a week. Nothing to list, nothing told. What is held is left out."""

from __future__ import annotations

from typing import Final

import msgspec

from driftline.contracts.reactions import Alert, AlertStatus
from driftline.react.cases import all_cases
from driftline.react.causes import rank
from driftline.react.draft import Digest, Draft
from driftline.react.grouping import Case
from driftline.react.holding import held, subject_of
from driftline.react.saying import Told, alert_of
from driftline.react.schedule import latest
from driftline.react.settings import DigestPlan

MOST: Final = 20


def tell_digests(draft: Draft) -> None:
    for plan in draft.settings.routes.digests():
        due, last = latest(plan.schedule, draft.now), draft.policy.digested.get(plan.name)
        if last is not None and due <= last:
            continue
        digested = {**draft.policy.digested, plan.name: due}
        draft.policy = msgspec.structs.replace(draft.policy, digested=digested)
        if last is None:  # what was due before Driftline ran is nobody's business
            continue
        listed = [alert for case in all_cases(draft) if (alert := _listed(draft, plan, case, last)) is not None]
        listed.sort(key=lambda a: (a.status == "resolved", -rank(a.severity), a.opened, a.id))
        if listed:
            draft.digests.append(Digest(plan.name, due, listed[:MOST], max(0, len(listed) - MOST)))


def _listed(draft: Draft, plan: DigestPlan, case: Case, last: int) -> Alert | None:
    shown = [f for f in case.all if f.open] or [case.leader]
    shown = [
        f
        for f in shown
        if draft.settings.routes.in_digest(plan, subject_of(draft, f.model, f.version, f.incident))
        and held(draft, f.model, f.version, f.incident) is None
    ]
    if not shown:
        return None
    face, *others = shown
    incident = face.incident
    if incident.closed is not None and incident.closed <= last:
        return None
    status: AlertStatus = "open" if incident.since > last else "repeated"
    status = "resolved" if incident.closed is not None else status
    told = Told(status, None, others, case.leader.incident.id, by=case.leader.incident.acked)
    return alert_of(draft, face, told, salt=f"digest:{plan.name}:{draft.now}")
