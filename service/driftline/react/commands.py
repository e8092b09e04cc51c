"""What people ask of incidents: acknowledge, resolve, silence, and end a silence. A command acts once, by its id.

What becomes of it is kept for whoever sent it to read: `ok: ...` or `refused: ...`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from driftline.contracts.reactions import Command, Match
from driftline.react.cases import all_cases, mutable
from driftline.react.draft import Draft
from driftline.react.grouping import Case, Found
from driftline.react.holding import held
from driftline.react.incidents import resolve
from driftline.react.saying import Told, say
from driftline.react.silences import LONGEST_MS, MAX_SILENCES, Silence
from driftline.stats.wording import moment

MAX_OUTCOMES: Final = 256
MAX_WORDS: Final = 1_000
NOBODY: Final = "somebody"


class _RefusedError(Exception):
    """It cannot be done; the text says why."""


def take_command(draft: Draft, command: Command) -> None:
    if command.id in draft.policy.outcomes:
        return
    try:
        if max(len(command.by or ""), len(command.reason or "")) > MAX_WORDS:
            raise _RefusedError(f"a name and a reason have at most {MAX_WORDS} characters")
        outcome = f"ok: {_do(draft, command)}"
    except _RefusedError as why:
        outcome = f"refused: {why}"
    kept = dict([*draft.policy.outcomes.items(), (command.id, outcome)][-MAX_OUTCOMES:])
    draft.policy = msgspec.structs.replace(draft.policy, outcomes=kept)
    draft.note("command.taken", what=command.what, id=command.id, by=command.by or NOBODY, outcome=outcome)


def _do(draft: Draft, command: Command) -> str:
    match command.what:
        case "ack":
            return _acknowledge(draft, command)
        case "resolve":
            return _resolve(draft, command)
        case "silence":
            return _silence(draft, command)
        case "expire":
            return _expire(draft, command)
        case _:
            raise _RefusedError(f"{command.what} is no command for incidents")


def _find(draft: Draft, id: str | None) -> tuple[Case, Found]:
    for case in all_cases(draft):
        for found in case.all:
            if found.incident.id == id and (found.open or (found is case.leader and case.lasts)):
                return case, found
    raise _RefusedError(f"no open incident is called {id}")


def _acknowledge(draft: Draft, command: Command) -> str:
    """All that is told together is acknowledged together."""
    case, _ = _find(draft, command.incident)
    by = command.by or NOBODY
    before = case.leader.incident.acked
    leader = mutable(draft, case.leader)
    leader.incident.acked = by
    speakers = [f for f in case.all if f.open and held(draft, f.model, f.version, f.incident) is None]
    heard = leader.incident.heard == "open" and bool(speakers)
    face, *others = [mutable(draft, found) for found in speakers] or [leader]
    why = None if heard else "nobody has been told of it, or it is silenced"
    key = leader.incident.id
    say(draft, face, Told("acknowledged", why, others, key, by=by, note=command.reason))
    return f"acknowledged {key}" + (f"; {before} had done so before" if before is not None else "")


def _resolve(draft: Draft, command: Command) -> str:
    """The id of a case resolves all of it. Monitors that are still in alarm open it again when they alarm anew."""
    case, found = _find(draft, command.incident)
    by = command.by or NOBODY
    sentence = f"Resolved by {by}: {command.reason}" if command.reason else f"Resolved by {by}."
    meant = [f for f in case.all if f.open] if found is case.leader else [found]
    for one in meant:
        held_by = draft.version(one.model, one.version)
        incident = held_by.incidents[one.incident.cause]
        resolve(draft, held_by, incident, one.model, one.version, sentence, by=by, note=command.reason)
    return f"resolved {len(meant)} incident{'s' * (len(meant) != 1)}"


def _silence(draft: Draft, command: Command) -> str:
    match = command.match
    if match is None or match == Match():
        raise _RefusedError("say what is to be silenced; a pattern of * for the model is everything")
    if not command.by or not command.reason:
        raise _RefusedError("a silence says who made it, and why")
    if draft.now == 0:
        raise _RefusedError("no event has been judged yet, so nobody knows the time")
    since = command.since if command.since is not None else draft.now
    until = command.until if command.until is not None else since + (command.for_ms or 0)
    if not max(since, draft.now) < until <= draft.now + LONGEST_MS:
        raise _RefusedError(
            f"it has to end after now, which is {moment(draft.now)} in event time, and within a year"
        )
    if len(draft.policy.silences) >= MAX_SILENCES:
        raise _RefusedError(f"there are {MAX_SILENCES} silences; end some")
    made = Silence(command.id, match, since, until, command.by, command.reason)
    silences = {**draft.policy.silences, made.id: made}
    draft.policy = msgspec.structs.replace(draft.policy, silences=silences)
    return f"silence {made.id}"


def _expire(draft: Draft, command: Command) -> str:
    if command.silence not in draft.policy.silences:
        raise _RefusedError(f"no silence is called {command.silence}")
    silences = {id: s for id, s in draft.policy.silences.items() if id != command.silence}
    draft.policy = msgspec.structs.replace(draft.policy, silences=silences)
    return f"ended silence {command.silence}"


def drop_silences(draft: Draft) -> None:
    """Those that are over."""
    lasting = {id: s for id, s in draft.policy.silences.items() if draft.now < s.until}
    if len(lasting) < len(draft.policy.silences):
        draft.policy = msgspec.structs.replace(draft.policy, silences=lasting)
