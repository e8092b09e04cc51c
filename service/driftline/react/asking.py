"""Which incident asks for a retraining, and what defers it.

While an incident of quality of the same model is open, whatever is learnt from what its pipeline delivers would have to
be unlearnt: no alarm and no schedule asks for a retraining. Values that are merely new, unseen or out of range, are no
reason: a world that has moved shows them too, and they last until a model has learnt them. Nor is how much comes and
when: what comes is sound, and a version that fell silent because another took its place stays so for good.

What errors broken data have caused outlast them by the delay of the labels and by what evidence it takes to resolve,
and may be known only then. So after the end the errors have one cool-down's time to come back by themselves, whichever
version alarms and whether it did so before the end; a retraining is asked for if the alarm still stands then. People
ask when they like.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from driftline.contracts.reactions import Cause, Rule, Witnessed
from driftline.react.causes import SEGMENTS, column_of
from driftline.react.draft import Draft
from driftline.react.incident import Incident
from driftline.react.state import Deferral, Model, Version
from driftline.stats.quality import NEW_WORDS
from driftline.stats.wording import moment

_ASKING: Final[tuple[tuple[Cause, Rule], ...]] = (
    ("performance", "error_alarm"),
    ("prediction", "prediction_alarm"),
)
AMOUNT: Final = frozenset({"silence", "flood", "freshness", "duplicates"})
"""Monitors of how much comes, when, and how often; copies are counted once."""
QUALITY: Final = ":quality"
"""How monitors of missing, malformed and new values end."""


def incident_that_asks(version: Version) -> tuple[Rule, Incident] | None:
    """The open incident that justifies a retraining, if one does. Decisions that treat segments unequally do not:
    newer data would teach the same."""
    for cause, rule in _ASKING:
        incident = version.incidents.get(cause)
        if incident is None or all(column_of(monitor).startswith(SEGMENTS) for monitor in incident.firing):
            continue
        if cause == "performance" or version.labelled is False:
            return rule, incident
    return None


def spoils(quality: Incident) -> bool:
    """Whether an incident of quality is of more than values that are new, and of how much comes."""
    return not (
        all(_is_new(witnessed) or _of_amount(witnessed.monitor) for witnessed in quality.firing.values())
        and all(monitor.endswith(QUALITY) or _of_amount(monitor) for monitor in quality.more)
    )


def of_new_values(quality: Incident) -> bool:
    """Whether an incident of quality is of any value that is new."""
    return any(_is_new(witnessed) for witnessed in quality.firing.values())


def _of_amount(monitor: str) -> bool:
    return monitor.rpartition(":")[2] in AMOUNT


def _is_new(witnessed: Witnessed) -> bool:
    effect = witnessed.effect
    new = effect is not None and effect.witness.removeprefix("share of ") in NEW_WORDS
    return new and witnessed.monitor.endswith(QUALITY)


def broken(known: Model) -> Incident | None:
    """The oldest open incident of the versions in use that spoils what a model would learn from."""
    found = (v.incidents.get("quality") for v in known.versions.values() if v.in_use)
    spoilt = [one for one in found if one is not None and spoils(one)]
    return min(spoilt, key=lambda one: (one.opened, one.id), default=None)


def follow(draft: Draft, model: str, version: str, asking: Incident | None) -> None:
    """Remember what is broken, since when, and until when; and who would have asked meanwhile, which is said once.
    After the end the cool-down begins for whoever has asked, and for whoever asks before it is over."""
    known = draft.look(model)
    if known is None:
        return
    quality, before = broken(known), known.deferral
    if before is None and quality is None:
        return
    after = _broken_since(before, quality) if quality is not None else before
    assert after is not None
    if quality is None and after.ended is None:
        after = replace(after, ended=draft.now)
    if after.incident and (
        after.version not in known.versions
        or (after.version == version and (asking is None or asking.id != after.incident))
    ):
        after = replace(after, version="", incident="")
    until = None if after.ended is None else after.ended + draft.settings.cooldown_ms
    if not after.incident and until is not None and draft.now >= until:
        draft.model(model).deferral = None
        return
    if not after.incident and asking is not None and known.request is None:
        after = replace(after, version=version, incident=asking.id)
        draft.note("retraining.deferred", model=model, version=version, incident=asking.id, quality=after.quality)
    if after != before:
        draft.model(model).deferral = after
    if after.incident and until is not None and until > known.quiet_until and draft.now < until:
        draft.model(model).quiet_until = until


def _broken_since(before: Deferral | None, quality: Incident) -> Deferral:
    since = _since(quality)
    if before is None:
        return Deferral("", "", quality.id, since)
    if before.ended is None and before.quality == quality.id:
        return before
    return Deferral("", "", quality.id, min(since, before.since))


def _since(quality: Incident) -> int:
    return min((w.onset for w in quality.firing.values() if w.onset is not None), default=quality.opened)


def deferred(draft: Draft, model: str, version: str, incident: Incident) -> str | None:
    """Why `incident`, which asks for a retraining, does not get it for now; None where that is not for quality's
    sake."""
    known = draft.look(model)
    held = known.versions.get(version) if known else None
    if known is None or held is None or not held.in_use or not draft.settings.retrain or known.request is not None:
        return None
    found = incident_that_asks(held)
    if found is None or found[1].id != incident.id:
        return None
    quality = broken(known)
    if quality is not None:
        return f"No retraining is asked for while the incident of quality {quality.id} is open."
    deferral = known.deferral
    if deferral is not None and deferral.ended is not None and draft.now < known.quiet_until:
        return (
            f"The incident of quality {deferral.quality} has ended; a retraining is asked for if this lasts until "
            f"{moment(known.quiet_until)}."
        )
    return None


def spoilt(known: Model, now: int) -> str:
    """What of a training window is not worth learning from, in words; empty where all is."""
    deferral, quality = known.deferral, broken(known)
    if quality is not None:
        since = _since(quality) if deferral is None else min(_since(quality), deferral.since)
        return f" Leave out what has come since {moment(since)}: the incident of quality {quality.id} is open."
    if deferral is not None:
        ended = now if deferral.ended is None else deferral.ended
        return (
            f" Leave out what came from {moment(deferral.since)} to {moment(ended)}, in the incident of quality "
            f"{deferral.quality}."
        )
    return ""
