"""At a tick: whom people have to be told of now. The only place where several models are looked at at once.

1. *group*: an incident of which nobody has heard joins a case that shows the same and has been told, or is about to
   be; one that has just opened need not wait for its own time then.
2. *inhibit, silence*: what is held is left out, and what is left of a case is told by the first that is not.
3. *tell* what people have not heard: what differs from what they heard last, what has lasted, whom nobody answers.
4. *forget* what has ended long enough ago.

Whatever is held stays different from what people have heard, so the tick after the hold has ended tells it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from driftline.contracts.reactions import AlertStatus
from driftline.contracts.records import Severity
from driftline.react.causes import gravest, rank
from driftline.react.draft import Draft
from driftline.react.due import QUIET, due, heard
from driftline.react.grouping import Case, Found, Leaders, cases_of, found_in
from driftline.react.holding import held
from driftline.react.incident import Lead
from driftline.react.saying import Told, say
from driftline.react.telling import TOGETHER, timing

KEEP_MS: Final = 7 * 86_400_000
"""How long what has ended is kept where a digest may still list it."""


def all_cases(draft: Draft) -> list[Case]:
    """As they stand, not to be changed."""
    return cases_of(found_in(model for name in draft.names() if (model := draft.look(name)) is not None))


def mutable(draft: Draft, found: Found) -> Found:
    """The same incident, to be changed."""
    version = draft.version(found.model, found.version)
    incident = version.incident(found.incident.cause)
    assert incident is not None
    return Found(found.model, found.version, incident)


def tell_cases(draft: Draft) -> None:
    cases = all_cases(draft)
    if not cases:
        return
    joined = draft.attempt("group", lambda: _group(draft, cases), frozenset[int]())
    for case in cases:
        if id(case) not in joined:
            draft.attempt("tell", partial(_tell, draft, case), None)
            draft.attempt("forget", partial(_forget, draft, case), None)


def _group(draft: Draft, cases: list[Case]) -> frozenset[int]:
    """Let cases of which nobody has heard join others; which ones have."""
    waiting = [
        case
        for case in cases
        if case.leader.open
        and case.leader.incident.heard is None
        and not case.members
        and timing(draft, case.leader).group_wait_ms
        and _held(draft, case.leader) is None
    ]
    ready = [case for case in waiting if _status(draft, case, [case.leader])[0]]
    told = [case for case in cases if case.lasts and case.leader.incident.heard is not None]
    leaders = Leaders(
        sorted([*told, *ready], key=lambda c: c.leader.order), draft.settings.upstream, draft.settings.together_ms
    )
    joined = set()
    for case in waiting:
        lead = leaders.of(case)
        if lead is not None:
            first = lead.leader
            case.leader = mutable(draft, case.leader)
            case.leader.incident.part_of = Lead(first.incident.id, first.model, first.version)
            leaders.join(case, lead)
            joined.add(id(case))
    return frozenset(joined)


def _held(draft: Draft, found: Found) -> str | None:
    return held(draft, found.model, found.version, found.incident)


def _status(draft: Draft, case: Case, speakers: list[Found]) -> tuple[AlertStatus | None, str]:
    """`speakers`: of whom people may hear, the first tells. What they have not heard of yet is news."""
    leader = case.leader.incident
    news = leader.news or any(found.incident.news for found in speakers) or len(speakers) > leader.leads + 1
    return due(
        leader,
        timing(draft, speakers[0]),
        draft.settings,
        draft.now,
        lasts=case.lasts,
        news=news,
        severity=_severity(speakers),
    )


def _severity(speakers: list[Found]) -> Severity:
    return gravest(found.incident.severity for found in speakers)


def _tell(draft: Draft, case: Case) -> None:
    why = {found.incident.id: _held(draft, found) for found in case.all if found.open or not case.lasts}
    if case.lasts:
        speakers = [found for found in case.all if found.open and why[found.incident.id] is None]
    else:
        speakers = [case.leader] if why[case.leader.incident.id] is None else []
    leader = case.leader.incident
    if not speakers:
        if case.lasts and not leader.muted and leader.heard == "open":
            case.leader = mutable(draft, case.leader)
            case.leader.incident.muted = True
        _publish(draft, case, why, QUIET)
        return
    if leader.muted:
        case.leader = mutable(draft, case.leader)
        leader = case.leader.incident
        leader.muted, leader.news = False, True
    severity = _severity(speakers)
    status, reason = _status(draft, case, speakers)
    if status is None:
        _publish(draft, case, why, reason)
        return
    case.leader = mutable(draft, case.leader)
    face, *others = [mutable(draft, found) for found in speakers]
    others.sort(key=lambda found: (-rank(found.incident.severity), found.order))
    closed = None if case.lasts else max(found.incident.closed or 0 for found in case.all)
    say(
        draft,
        face,
        Told(status, None, others=others, key=leader.id, severity=severity, closed=closed, by=leader.acked),
    )
    heard(case.leader.incident, status, draft.now, severity)
    case.leader.incident.leads = len(others) if status != "resolved" else 0
    for found in (face, *others):
        found.incident.news = found.incident.untold = False


def _publish(draft: Draft, case: Case, why: dict[str, str | None], reason: str) -> None:
    """What changed and is not told, for machines: as rarely as ever."""
    for found in case.all:
        incident = found.incident
        if found.open and incident.untold and draft.now - incident.told >= draft.settings.update_every_ms:
            held_by = why.get(incident.id) or (reason if len(case.all) == 1 else TOGETHER)
            say(draft, mutable(draft, found), Told("updated", held_by))


def _forget(draft: Draft, case: Case) -> None:
    keep = max(draft.settings.reopen_ms, KEEP_MS if draft.settings.routes.digests() else 0)
    for found in case.all:
        incident = found.incident
        leads = incident.id == case.leader.incident.id
        over = incident.closed is not None and draft.now - incident.closed >= keep
        if not over or incident.owed or (leads and case.lasts):
            continue
        version = draft.version(found.model, found.version)
        if version.closed.get(incident.cause) is not None and version.closed[incident.cause].id == incident.id:
            del version.closed[incident.cause]
            if incident.part_of is None:
                draft.forgotten.append(incident.id)
