"""What to do next: keep, investigate, retrain, roll back, retire. One or two sentences that begin with the word.

Rules, the first that holds: what is broken in the pipeline is mended there, whatever else moved, and a retraining that
would be asked for waits for that (`asking`); an error that rose soon after a deployment is rolled back; an error that
rose is retrained away with data since its onset, unless that has been asked for as often as is allowed: then the model
is past it; a drift without an error is kept an eye on, and looked into where nobody knows the error.
"""

from __future__ import annotations

from typing import Final

from driftline.react.asking import AMOUNT, deferred, of_new_values, spoils
from driftline.react.causes import SEGMENTS, by_gravity, column_of
from driftline.react.draft import Draft
from driftline.react.grouping import FEATURES, upstream
from driftline.react.incident import Incident
from driftline.react.settings import BUDGET_DAYS
from driftline.react.state import Model, Version
from driftline.stats.wording import moment

DAY_MS: Final = 86_400_000
FRESH_MS: Final = DAY_MS
"""An onset at most so long after a deployment is put down to it."""


def advice(draft: Draft, model: str, version: str, incident: Incident) -> str:
    known = draft.look(model)
    held = known.versions.get(version) if known else None
    if incident.closed is not None or known is None or held is None:
        return ""
    asks = deferred(draft, model, version, incident)
    found = _next(draft, known, version, held, incident)
    return found if asks is None else f"{found} {asks}"


def _next(draft: Draft, known: Model, version: str, held: Version, incident: Incident) -> str:
    match incident.cause:
        case "quality":
            look = f"Investigate: look at {_pipeline(draft, incident)}."
            if spoils(incident):
                return f"{look} Do not retrain on what it delivers meanwhile."
            return f"{look} If what it delivers is right, the world has moved." if of_new_values(incident) else look
        case "performance":
            return _errors(draft, known, version, held, incident)
        case "prediction":
            return _unequal(incident) or _answers(held, incident)
        case "data":
            return _data(draft, held, incident)
        case "retraining":
            return "Investigate: look at the training job; `driftline tail --topics retraining` has the request."
        case "notification":
            return f"Investigate: look at the settings of the receiver; `driftline notify test {version}` calls it."
        case "service":
            return "Investigate: docs/operations.md says what each of these means."


def _errors(draft: Draft, known: Model, version: str, held: Version, incident: Incident) -> str:
    onset, comparison = _onset(incident), known.comparison
    quality = held.incidents.get("quality")
    if quality is not None and spoils(quality):
        return f"Investigate: look at {_pipeline(draft, quality)} first; what it delivers explains the errors."
    deployed = comparison.since if comparison is not None and comparison.new == version else None
    former = known.current(but=version) or (comparison.old if comparison else None)
    if deployed is not None and former is not None and onset is not None and 0 <= onset - deployed <= FRESH_MS:
        return f"Roll back to {former}: the errors rose within a day of the deployment of {version}."
    recent = [time for time in known.asked if time > draft.now - BUDGET_DAYS * DAY_MS]
    if known.request is None and draft.settings.budget and len(recent) >= draft.settings.budget:
        return f"Retire it, or rethink it: {len(recent)} retrainings in {BUDGET_DAYS} days have not helped it."
    asked = " It has been asked for." if known.request is not None else ""
    return f"Retrain on data {_since(onset)}.{asked}"


def _unequal(incident: Incident) -> str:
    """A limit on a ratio between segments: whether errors moved, or inputs, does not say that it may be broken."""
    columns = {column_of(monitor) for monitor in incident.firing}
    segments = sorted(column.removeprefix(SEGMENTS) for column in columns if column.startswith(SEGMENTS))
    if not segments:
        return ""
    return f"Investigate: look at its decisions by {', '.join(segments)}: they are beyond a limit that was set."


def _answers(held: Version, incident: Incident) -> str:
    if "data" in held.incidents or "quality" in held.incidents:
        return "Investigate: its inputs have moved too; look at them first."
    if held.labelled is True:
        return "Keep: its errors have not moved. Watch them."
    since = _since(_onset(incident))
    return f"Investigate: no outcomes say whether it is wrong. If nothing explains it, retrain on data {since}."


def _data(draft: Draft, held: Version, incident: Incident) -> str:
    changed = next((w for w in incident.firing.values() if w.effect and w.effect.unit_change), None)
    if changed is not None:
        name = column_of(changed.monitor).removeprefix(FEATURES)
        return f"Investigate: {name} looks like another unit; look at {_pipeline(draft, incident)}."
    quality = held.incidents.get("quality")
    if quality is not None:
        return f"Investigate: look at {_pipeline(draft, quality)} first; what it delivers may explain this."
    errors = held.incidents.get("performance")
    if errors is not None:
        return f"Retrain on data {_since(_onset(errors))}: the errors have risen too."
    if held.labelled is True:
        return f"Keep: the errors have not moved. Look at {_pipeline(draft, incident)} if this was not expected."
    return f"Investigate: look at {_pipeline(draft, incident)}; no outcomes say yet whether the model suffers."


def _pipeline(draft: Draft, incident: Incident) -> str:
    """What fills the columns, the gravest three."""
    ranked = [w.monitor for w in by_gravity(incident.firing.values())] + list(incident.more)
    named = list(dict.fromkeys(upstream(column_of(monitor), draft.settings.upstream) for monitor in ranked))
    more = f" and {len(named) - 3:,} more" if len(named) > 3 else ""
    if any(monitor.rpartition(":")[2] in AMOUNT for monitor in ranked):
        return "what sends the events"
    return f"the pipeline that fills {', '.join(named[:3])}{more}"


def _since(onset: int | None) -> str:
    return "since the change" if onset is None else f"since {moment(onset)}"


def _onset(incident: Incident) -> int | None:
    return min((w.onset for w in incident.firing.values() if w.onset is not None), default=None)
