"""The first retraining policy. One request in flight a model; a cool-down between requests; a budget in 30 days.

An error monitor in alarm asks at once. A prediction or score monitor asks at the next tick, and only where judge
says that the model version has no labels: with labels, errors decide. A schedule asks when it is time; a person
asks whenever nothing is in flight. Nothing but a person asks while the data are broken (`asking`). A request is in
flight until a job answers on `lifecycle` or it expires, and one that nobody starts escalates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from driftline.contracts.reactions import (
    Budget,
    Command,
    Estimates,
    RetrainingRequested,
    Rule,
    Witnessed,
    content_id,
)
from driftline.contracts.records import Effect, Severity
from driftline.react.asking import broken, follow, incident_that_asks, spoilt
from driftline.react.causes import by_gravity, column_of
from driftline.react.draft import Draft
from driftline.react.incident import Incident
from driftline.react.incidents import opened, resolve
from driftline.react.saying import MAX_EVIDENCE
from driftline.react.schedule import latest
from driftline.react.settings import BUDGET_DAYS
from driftline.react.state import Model, Occasion, Request
from driftline.react.telling import changed
from driftline.react.window import advise

DAY_MS: Final = 86_400_000
_PRIORITY: Final[dict[Rule, Literal["high", "normal", "low"]]] = {
    "error_alarm": "high",
    "manual": "high",
    "prediction_alarm": "normal",
    "schedule": "low",
}
_REMEMBERED: Final = 32


def consider(draft: Draft, model: str, version: str) -> None:
    """Ask for a retraining if an alarm justifies it and nothing forbids it."""
    known = draft.look(model)
    held = known.versions.get(version) if known else None
    if not draft.settings.retrain or known is None or held is None:
        return
    found = incident_that_asks(held) if held.in_use else None
    follow(draft, model, version, found[1] if found else None)
    known = draft.look(model)
    if known is None or found is None or known.request is not None:
        return
    rule, incident = found
    if broken(known) is not None or _forbidden(draft, known) is not None:
        return
    ranked = by_gravity(incident.firing.values())
    _ask(draft, model, version, rule, incident.id, ranked[0].sentence, incident)


def on_schedule(draft: Draft) -> None:
    """Ask for every model in use when the schedule says so. The first tick only notes where the schedule stands:
    what was due before Driftline ran is nobody's business."""
    if draft.settings.schedule is None or draft.now == 0:
        return
    due = latest(draft.settings.schedule, draft.now)
    if draft.scheduled is None or due <= draft.scheduled:
        draft.scheduled = due if draft.scheduled is None else draft.scheduled
        return
    draft.scheduled = due
    for name in draft.names():
        known = draft.look(name)
        current = known.current() if known and name else None
        if known is None or current is None:
            continue
        why_not = "an incident of quality is open" if broken(known) else _forbidden(draft, known)
        if why_not is not None:
            draft.note("retraining.declined", model=name, rule="schedule", reason=why_not)
            continue
        found = incident_that_asks(known.versions[current])
        reason = f"It is scheduled ({draft.settings.schedule})."
        _ask(draft, name, current, "schedule", f"schedule:{due}", reason, found[1] if found else None)


def by_hand(draft: Draft, command: Command) -> None:
    """A person asks: neither cool-down nor budget nor broken data stop him, a request in flight does."""
    if not command.model:
        draft.note("retraining.declined", model="", rule="manual", reason="no model is named")
        return
    known = draft.look(command.model)
    version = command.version or (known.current() if known else None)
    if version is None:
        draft.note("retraining.declined", model=command.model, rule="manual", reason="no version is known")
        return
    if known is None and not draft.has_room():
        draft.note("retraining.declined", model=command.model, rule="manual", reason="too many models are open")
        return
    if not draft.model(command.model).hear(command.id):
        return
    if known is not None and known.request is not None:
        draft.note("retraining.declined", model=command.model, rule="manual", reason="a request is in flight")
        return
    held = draft.version(command.model, version)
    found = incident_that_asks(held)
    reason = command.reason or "A person asked for it."
    _ask(draft, command.model, version, "manual", command.id, reason, found[1] if found else None)


def _forbidden(draft: Draft, known: Model) -> str | None:
    if known.request is not None:
        return "a request is in flight"
    if draft.now < known.quiet_until:
        return "the cool-down is not over"
    if len(_recent(draft, known.asked)) >= draft.settings.budget:
        return "the budget is spent"
    return None


def _recent(draft: Draft, asked: Sequence[int]) -> list[int]:
    return [time for time in asked if time > draft.now - BUDGET_DAYS * DAY_MS]


def _ask(
    draft: Draft, model: str, version: str, rule: Rule, trigger: str, reason: str, incident: Incident | None
) -> None:
    known, settings = draft.model(model), draft.settings
    held = draft.version(model, version)
    attempt = known.asked_for.get(trigger, 0) + 1
    id = content_id("retraining", model, version, rule, trigger, attempt)
    known.asked_for = dict([*known.asked_for.items(), (trigger, attempt)][-_REMEMBERED:])
    known.asked = [*_recent(draft, known.asked), draft.now]
    firing = list(incident.firing.values()) if incident is not None else []
    window = advise(firing, draft.now, settings.enough_events)
    window = msgspec.structs.replace(window, why=window.why + spoilt(known, draft.now))
    known.deferral = None
    errors = held.incidents.get("performance")
    onset = min((w.onset for w in firing if w.onset is not None), default=None)
    known.occasion = Occasion(id, draft.now, onset)
    effect = _mean_error(list(errors.firing.values()) if errors else [])
    data = held.incidents.get("data")
    evidence = by_gravity(firing)[:MAX_EVIDENCE]
    if data is not None:
        evidence += by_gravity(data.firing.values())[:MAX_EVIDENCE]
    draft.said.append(
        RetrainingRequested(
            id=id,
            model=model,
            version=version,
            time=draft.now,
            expires=draft.now + settings.expire_ms,
            decision="retrain",
            rule=rule,
            reason=reason,
            window=window,
            strategy=settings.strategy,
            priority=_PRIORITY[rule],
            evidence=evidence,
            profile=held.profile,
            estimates=Estimates(
                events=window.events,
                error_now=effect.current.value if effect else None,
                error_reference=effect.reference if effect else None,
            ),
            budget=Budget(used=len(known.asked), limit=settings.budget, days=BUDGET_DAYS),
        )
    )
    known.request = Request(id, version, rule, draft.now, draft.now + settings.expire_ms)
    known.quiet_until = draft.now + settings.cooldown_ms
    draft.note("retraining.requested", model=model, version=version, rule=rule, id=id)


def _mean_error(firing: Sequence[Witnessed]) -> Effect | None:
    """The effect that is a mean error, not some quantile's share; that of `error` before those of losses."""
    found = [
        (column_of(w.monitor) != "error", w.monitor, w.effect)
        for w in firing
        if w.effect is not None and w.effect.witness in ("error rate", "mean")
    ]
    return min(found, key=lambda f: f[:2])[2] if found else None


def ended(draft: Draft, known: Model) -> None:
    """The request in flight is over; the cool-down begins anew."""
    known.request = None
    known.quiet_until = max(known.quiet_until, draft.now + draft.settings.cooldown_ms)


def watch(draft: Draft, model: str) -> None:
    """At a tick: let a request expire, and raise the alarm over one that nobody has started."""
    known = draft.look(model)
    request = known.request if known else None
    if request is None:
        return
    if draft.now >= request.expires:
        held = draft.model(model)
        what = "was started and has not ended" if request.started else "was never started"
        sentence = f"{_asked_for(draft, model, request)} {what}; it is void."
        ended(draft, held)
        raise_trouble(draft, held, request.version, request.id, "error", sentence)
    elif not request.started and not request.escalated and draft.now - request.time >= draft.settings.escalate_ms:
        held = draft.model(model)
        assert held.request is not None
        held.request.escalated = True
        sentence = f"{_asked_for(draft, model, request)} has not been started by anybody."
        raise_trouble(draft, held, request.version, request.id, "critical", sentence)


def _asked_for(draft: Draft, model: str, request: Request) -> str:
    minutes = (draft.now - request.time) // 60_000
    ago = f"{minutes // 60} h {minutes % 60} min ago"
    return f"The retraining of {model} {request.version} that was asked for {ago}"


def raise_trouble(
    draft: Draft, known: Model, version: str, request: str, severity: Severity, sentence: str
) -> None:
    """Open or update the model's incident of retraining. There is one at a time."""
    where, incident = trouble_of(known) or (version, None)
    witnessed = Witnessed(monitor=f"retraining:{request}", signal=request, severity=severity, sentence=sentence)
    if incident is None:
        opened(draft, known.name, version, "retraining", witnessed, request)
        return
    incident.firing, incident.severity = {}, severity
    incident.sentence, incident.request = sentence, request
    incident.join(witnessed)
    changed(draft, known.name, where, incident)


def trouble_of(known: Model) -> tuple[str, Incident] | None:
    """The open incident of the model's retraining, and the version it is of."""
    found = ((name, version.incidents.get("retraining")) for name, version in known.versions.items())
    return next(((name, incident) for name, incident in found if incident is not None), None)


def end_trouble(draft: Draft, known: Model, sentence: str) -> None:
    found = trouble_of(known)
    if found is not None:
        name, incident = found
        resolve(draft, known.versions[name], incident, known.name, name, sentence)
