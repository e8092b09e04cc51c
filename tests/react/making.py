"""Messages for the tests of react."""

from __future__ import annotations

from collections.abc import Iterable

from driftline.contracts.reactions import Alert, Command, Fact, RetrainingRequested
from driftline.contracts.records import (
    Effect,
    Estimate,
    Evidence,
    Lifecycle,
    LifecycleWhat,
    Severity,
    Signal,
    SignalState,
    signal_id,
)
from driftline.react.core import Message, react
from driftline.react.settings import ReactSettings
from driftline.react.state import State

T0 = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def signal(
    monitor: str = "error:rate",
    sequence: int = 1,
    state: SignalState = "alarm",
    *,
    at: int = 0,
    model: str = "m",
    version: str = "1",
    n: int = 1_000,
    severity: Severity = "critical",
    stream: str | None = None,
) -> Signal:
    """A signal `at` ms after T0, whose change began an hour before."""
    time = T0 + at
    rate = monitor == "error:rate"
    current = Estimate(value=0.25, low=0.23, high=0.27, unit="share")
    return Signal(
        id=signal_id(model, version, monitor, sequence),
        model=model,
        version=version,
        monitor=monitor,
        sequence=sequence,
        state=state,
        severity=severity,
        time=time,
        sentence=f"{monitor} {state}.",
        onset=time - HOUR,
        effect=Effect(witness="error rate" if rate else "share of x", reference=0.1, current=current),
        evidence=Evidence(detector="cbe", log_evidence=30.0, log_threshold=20.0, n=n, n_eff=n / 2),
        profile="p",
        details={"stream": stream} if stream else {},
    )


def service_signal(content: str, monitor: str = "system:state_lost:judge/0") -> Signal:
    return Signal(
        id=signal_id("", "", f"{monitor}:{content}", 1),
        model="",
        version="",
        monitor=monitor,
        sequence=1,
        state="info",
        severity="error",
        time=0,
        sentence=f"{monitor} {content}.",
    )


def told(
    what: LifecycleWhat, *, version: str = "2", request: str | None = None, id: str = "", model: str = "m"
) -> Lifecycle:
    """A lifecycle event whose clock is a year ahead: it must not matter."""
    return Lifecycle(
        id=id or f"{what}-{model}-{version}-{request}",
        what=what,
        model=model,
        version=version,
        time=T0 + 365 * DAY,
        request=request,
    )


def tick(at: int, *facts: Fact) -> Command:
    return Command(id=f"tick-{at}", what="tick", time=T0 + at, facts=list(facts))


def by_hand(id: str = "c-1", model: str = "m", version: str | None = None) -> Command:
    return Command(id=id, what="retrain", time=T0 + 365 * DAY, model=model, version=version)


class Told:
    """A run of the core: its state, and all it has said."""

    def __init__(self, settings: ReactSettings | None = None) -> None:
        self.settings = settings or ReactSettings()
        self.state = State()
        self.said: list[Alert | RetrainingRequested] = []
        self.notes: list[str] = []

    def take(self, *messages: Message) -> list[Alert | RetrainingRequested]:
        """What these messages make react say."""
        before = len(self.said)
        for message in messages:
            reaction = react(self.state, message, self.settings)
            self.state = reaction.state
            self.said += reaction.outbox
            self.notes += [note.event for note in reaction.notes]
        return self.said[before:]


def alerts(said: Iterable[Alert | RetrainingRequested]) -> list[Alert]:
    return [one for one in said if isinstance(one, Alert)]


def requests(said: Iterable[Alert | RetrainingRequested]) -> list[RetrainingRequested]:
    return [one for one in said if isinstance(one, RetrainingRequested)]


def brief(said: Iterable[Alert | RetrainingRequested]) -> list[str]:
    """`cause:status` of alerts and `rule` of requests, in order."""
    return [one.rule if isinstance(one, RetrainingRequested) else f"{one.cause}:{one.status}" for one in said]
