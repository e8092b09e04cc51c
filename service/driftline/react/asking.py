"""Which incident asks for a retraining, and what defers it.

While an incident of quality of the same model is open, whatever is learnt from what its pipeline delivers would have to
be unlearnt: no alarm and no schedule asks for a retraining. Values that are merely new, unseen or out of range, are no
reason: a world that has moved shows them too, and they last until a model has learnt them.

What errors broken data have caused outlast them by the delay of the labels and by what evidence it takes to resolve. So
after the end the errors have one cool-down's time to come back by themselves; a retraining is asked for if the alarm
still stands then. People ask when they like.
"""

from __future__ import annotations

from typing import Final

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
    """Whether an incident of quality is of more than values that are new."""
    return not (
        all(_is_new(witnessed) for witnessed in quality.firing.values())
        and all(monitor.endswith(QUALITY) for monitor in quality.more)
    )


def _is_new(witnessed: Witnessed) -> bool:
    effect = witnessed.effect
    new = effect is not None and effect.witness.removeprefix("share of ") in NEW_WORDS
    return new and witnessed.monitor.endswith(QUALITY)


def broken(known: Model) -> Incident | None:
    """The oldest open incident of the versions in use that spoils what a model would learn from."""
    found = (v.incidents.get("quality") for v in known.versions.values() if v.in_use)
    spoilt = [one for one in found if one is not None and spoils(one)]
    return min(spoilt, key=lambda one: (one.opened, one.id), default=None)


def defer(draft: Draft, known: Model, version: str, incident: Incident, quality: Incident) -> None:
    """Remember that `incident` would have asked. Said once, until the incident of quality has ended."""
    before = known.deferral
    if before is not None and before.ended is None and before.quality == quality.id:
        return
    since = min((w.onset for w in quality.firing.values() if w.onset is not None), default=quality.opened)
    since = since if before is None else min(since, before.since)
    draft.model(known.name).deferral = Deferral(version, incident.id, quality.id, since)
    draft.note("retraining.deferred", model=known.name, version=version, incident=incident.id, quality=quality.id)


def follow(draft: Draft, model: str, version: str, asking: Incident | None) -> None:
    """A deferral lasts as long as what would have asked. Where nothing is broken any more, the cool-down begins."""
    known = draft.look(model)
    deferral = known.deferral if known else None
    if known is None or deferral is None:
        return
    mine = deferral.version == version
    if deferral.version not in known.versions or (mine and (asking is None or asking.id != deferral.incident)):
        draft.model(model).deferral = None
    elif deferral.ended is None and broken(known) is None:
        changed = draft.model(model)
        changed.deferral = Deferral(
            deferral.version, deferral.incident, deferral.quality, deferral.since, ended=draft.now
        )
        changed.quiet_until = max(changed.quiet_until, draft.now + draft.settings.cooldown_ms)


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
        since = min((w.onset for w in quality.firing.values() if w.onset is not None), default=quality.opened)
        since = since if deferral is None else min(since, deferral.since)
        return f" Leave out what has come since {moment(since)}: the incident of quality {quality.id} is open."
    if deferral is not None:
        ended = now if deferral.ended is None else deferral.ended
        return (
            f" Leave out what came from {moment(deferral.since)} to {moment(ended)}, in the incident of quality "
            f"{deferral.quality}."
        )
    return ""
