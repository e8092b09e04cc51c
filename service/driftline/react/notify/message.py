"""What a notification says, before any receiver's own form: what moved, since when, how much, how sure, what is
advised, and which others.

Every text in it is one printable line of bounded length (`text.py`). Escaping is each channel's own matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from driftline.contracts.reactions import Alert, AlertStatus, Cause, RetrainingRequested, Witnessed
from driftline.contracts.records import Effect, Lifecycle, LifecycleWhat, Severity
from driftline.react.causes import compared, gravest, rank
from driftline.react.notify.notification import Notification
from driftline.react.notify.text import cut, line
from driftline.stats.wording import moment

MAX_TITLE: Final = 120
MAX_SENTENCE: Final = 600
MAX_FACT: Final = 200
MAX_NAME: Final = 60
SHOWN: Final = 5
"""Other monitors, models or alerts that are named; the rest are counted."""
MAX_FACTS: Final = 10
LEAST_BARS: Final = 5
YEAR: Final = 365.25
YEARS: Final = 1_000
"""Of what is rarer, that is all that is said."""

CAUSES: Final[dict[Cause, str]] = {
    "performance": "model errors",
    "prediction": "predictions",
    "data": "input data",
    "quality": "data quality",
    "service": "Driftline itself",
    "retraining": "retraining",
    "notification": "notifications",
}
_EVENTS: Final[dict[LifecycleWhat, str]] = {
    "registered": "Registered",
    "retraining.started": "Retraining started",
    "retraining.succeeded": "Retraining succeeded",
    "retraining.failed": "Retraining failed",
    "deployed": "Deployed",
    "rolled_back": "Rolled back",
    "retired": "Retired",
}
_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Message:
    """`title`: what and how grave; `sentence`: what moved, since when, how much. `facts`: (name, value), ten at the
    most. `more`: one line for each other thing of the same; `bars`: (then, now) as text, of as many characters.
    `status` None: nothing opens or ends. `effect`: what a picture can be drawn of, and `subject` what it is about."""

    title: str
    sentence: str
    severity: Severity
    status: AlertStatus | None = None
    facts: tuple[tuple[str, str], ...] = ()
    more_title: str = ""
    more: tuple[str, ...] = ()
    advice: str = ""
    bars: tuple[str, str] | None = None
    subject: str = ""
    effect: Effect | None = None

    @property
    def over(self) -> bool:
        return self.status == "resolved"


def message_of(notification: Notification) -> Message:
    """What is to be said."""
    if notification.alert is not None:
        return _of_alert(notification.alert)
    if notification.request is not None:
        return _of_request(notification.request)
    if notification.event is not None:
        return _of_event(notification.event)
    if notification.digest:
        return _of_digest(notification.digest, notification.more)
    receiver = line(notification.receiver, MAX_NAME)
    return Message(
        title="Test of Driftline's notifications",
        sentence=f"This is a test of the receiver {receiver}. Nothing has happened, nothing is to be done.",
        severity="info",
    )


def who(model: str, version: str) -> str:
    """A model version. What is about Driftline itself has no model."""
    return f"{line(model, MAX_NAME)} {line(version, MAX_NAME)}".strip() if model else "Driftline"


def state_of(alert: Alert) -> str:
    """Critical; Resolved; Critical, open again."""
    grave = alert.severity.capitalize()
    match alert.status:
        case "open" | "updated":
            return grave
        case "repeated":
            return f"{grave}, still open"
        case "reopened":
            return f"{grave}, open again"
        case "escalated":
            return f"{grave}, not acknowledged"
        case "acknowledged":
            return f"{grave}, acknowledged"
        case "resolved":
            return "Resolved"


def title_of(alert: Alert) -> str:
    about = who(alert.model, alert.version)
    if compared(alert):
        return cut(f"Compared with its predecessor: {about}", MAX_TITLE)
    cause = CAUSES[alert.cause]
    return cut(f"{state_of(alert)}: {cause}" + (f" of {about}" if alert.model else ""), MAX_TITLE)


def sureness(witnessed: Witnessed) -> str:
    """How seldom evidence like this comes by chance, and what it rests on."""
    n = f"{witnessed.n:,} events" if witnessed.n else ""
    nats = witnessed.log_evidence
    if nats is None or not nats > 1.0:
        return n
    rare = f"by chance once in {_span(nats, witnessed.unit)} at most"
    return f"{rare}; from {n}" if n else rare


def _span(nats: float, unit: str) -> str:
    """e^nats days or events, in words."""
    if unit == "events":
        return f"{math.exp(nats):,.0f} events" if nats < math.log(1e12) else "10^12 events"
    days = math.exp(min(nats, math.log(YEARS * YEAR)))
    return f"{days:,.0f} days" if days < 3.0 * YEAR else f"{days / YEAR:,.0f} years"


def lasted(ms: int) -> str:
    """3 days; 5 hours; 12 minutes."""
    minutes = max(ms, 0) // 60_000
    for name, length in (("day", 1_440), ("hour", 60)):
        if minutes >= 2 * length:
            return f"{minutes // length:,} {name}s"
    return f"{minutes} minute{'s' * (minutes != 1)}"


def sparks(effect: Effect | None) -> tuple[str, str] | None:
    """The distribution then and now as two lines of bars, on one scale; None for so few that a sentence says more."""
    if effect is None or effect.shape is None or len(effect.shape.labels) < LEAST_BARS:
        return None
    shape = effect.shape
    top = max(*shape.reference, *shape.current)
    if not 0.0 < top < math.inf:
        return None

    def drawn(shares: Sequence[float]) -> str:
        return "".join(_BARS[min(max(round(share / top * 7.0), 0), 7)] if share > 0.0 else " " for share in shares)

    return drawn(shape.reference), drawn(shape.current)


def _of_alert(alert: Alert) -> Message:
    first = alert.evidence[0] if alert.evidence else None
    over = alert.status == "resolved" and not compared(alert)
    if compared(alert):
        facts = [("Deployed", moment(alert.opened))]
    elif alert.onset is not None:
        facts = [("Since", moment(alert.onset))]
    else:
        facts = [("Opened", moment(alert.opened))]
    if over:
        facts.append(("Lasted", lasted((alert.time if alert.closed is None else alert.closed) - alert.opened)))
    if first is not None and (sure := sureness(first)):
        facts.append(("How sure", sure))
    if alert.count > 1:
        facts.append(("Monitors in alarm", _named(alert.monitors, alert.count)))
    elif alert.monitors:
        facts.append(("Monitor", alert.monitors[0]))
    if alert.upstream is not None and alert.models > 1:
        facts.append(("Shared column", f"{alert.upstream}, of {alert.models:,} models"))
    for name, value in (
        ("Team", alert.team),
        ("Retraining", alert.request),
        ("By", alert.by),
        ("Note", alert.note),
    ):
        if value:
            facts.append((name, value))
    facts.append(("Incident", alert.incident))
    others = [f"{who(one.model, one.version)}: {one.sentence}" for one in alert.also]
    if others:
        title, more, count = "Other models, told with this one", others, max(alert.models - 1, len(others))
    else:
        more = [one.sentence for one in alert.evidence[1:] if one.sentence != alert.sentence]
        title, count = "Also in alarm", max(alert.count - 1, len(more)) if more else 0
    return Message(
        title=title_of(alert),
        sentence=line(alert.sentence, MAX_SENTENCE),
        severity=alert.severity,
        status=None if compared(alert) else alert.status,
        facts=_facts(facts),
        more_title=title if more else "",
        more=_lines(more, count),
        advice="" if over else line(alert.advice, MAX_SENTENCE),
        bars=sparks(first.effect) if first else None,
        subject=line(first.monitor.rpartition(":")[0], MAX_NAME) if first else "",
        effect=first.effect if first else None,
    )


def _of_request(request: RetrainingRequested) -> Message:
    window = request.window
    start = "the beginning" if window.start is None else moment(window.start)
    facts = [
        ("Train on", f"{start} to {moment(window.to)}"),
        ("Why these", window.why),
        ("Strategy", request.strategy),
        ("Priority", request.priority),
        ("Void after", moment(request.expires)),
    ]
    if request.budget is not None:
        budget = request.budget
        facts.append(("Budget", f"{budget.used} of {budget.limit} in {budget.days} days"))
    facts.append(("Request", request.id))
    more = [one.sentence for one in request.evidence]
    return Message(
        title=cut(f"Retraining requested: {who(request.model, request.version)}", MAX_TITLE),
        sentence=line(request.reason, MAX_SENTENCE),
        severity="info",
        facts=_facts(facts),
        more_title="Evidence" if more else "",
        more=_lines(more, len(more)),
    )


def _of_event(event: Lifecycle) -> Message:
    what, about = _EVENTS[event.what], who(event.model, event.version)
    facts = [("Request", event.request)] if event.request else []
    facts += [(name, str(value)) for name, value in event.details.items() if value is not None]
    return Message(
        title=cut(f"{what}: {about}", MAX_TITLE),
        sentence=f"{what}: {about}, at {moment(event.time)}.",
        severity="info",
        facts=_facts(facts),
    )


def _of_digest(alerts: Sequence[Alert], unlisted: int) -> Message:
    count = len(alerts) + unlisted
    ranked = sorted(alerts, key=lambda alert: -rank(alert.severity))
    return Message(
        title=f"Digest: {count:,} alert{'s' * (count > 1)}",
        sentence="What has been said since the last digest, the gravest first.",
        severity=gravest(alert.severity for alert in alerts),
        more_title="Alerts",
        more=_lines([f"{title_of(a)}: {a.sentence}" for a in ranked], count, 2 * SHOWN),
    )


def _facts(facts: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    kept = [(line(name, MAX_NAME), line(value, MAX_FACT)) for name, value in facts[:MAX_FACTS]]
    return tuple((name or "-", value or "-") for name, value in kept)


def _lines(texts: Sequence[str], count: int, most: int = SHOWN) -> tuple[str, ...]:
    """The first few, and how many more there are."""
    shown = [line(text, MAX_SENTENCE // 2) or "-" for text in texts[:most]]
    left = count - len(shown)
    return (*shown, f"and {left:,} more") if left > 0 else tuple(shown)


def _named(names: Sequence[str], count: int) -> str:
    shown = [line(name, MAX_NAME) for name in names[:SHOWN]]
    left = count - len(shown)
    return f"{count:,}: {', '.join(shown)}" + (f" and {left:,} more" if left else "")
