"""What react tells the world: alerts and retraining requests; and the commands it takes."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from driftline.contracts.records import Effect, Severity

Cause = Literal["performance", "prediction", "data", "quality", "service", "retraining", "notification"]
AlertStatus = Literal["open", "updated", "acknowledged", "repeated", "escalated", "resolved", "reopened"]
"""`repeated`: nothing is new but that it lasts; `escalated`: nobody has acknowledged it for long."""


class Witnessed(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor that is, or was, in alarm, and the signal that said so. Evidence in nats: of x, it comes by chance once
    in e^x `unit`s at most. `n`: values since onset that it counts; `rows` of the stream, where these are more."""

    monitor: str
    signal: str
    severity: Severity
    sentence: str
    time: int | None = None
    onset: int | None = None
    effect: Effect | None = None
    log_evidence: float | None = None
    n: int | None = None
    rows: int | None = None
    unit: Literal["days", "events"] = "days"


class Also(msgspec.Struct, frozen=True, kw_only=True):
    """Another model's incident of the same cause, told together with this one."""

    incident: str
    model: str
    version: str
    sentence: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told of an incident. There is one open incident per model version and cause; each of its
    transitions is one alert. `monitors` are those now in alarm, the gravest first, ten at the most; `count` is of
    all of them. Times are ms since the epoch, of event time: `time` is of the transition or, where that had to wait,
    of its telling; `closed` is when it ended, if it has. `evidence` summarises the gravest five.

    `part_of`: the incident of another model that this one is told with, because both show the same `upstream`
    column; `also`: those that are told with this one, ten at the most, of `models` in all. `advice`: what to do next;
    `deferred`: why no retraining is asked for at present, where this incident asks for one.
    `by` and `note`: who acknowledged, silenced or resolved it, and why. `held`: why nobody was notified of this
    transition (silenced, inhibited, told with another); None: whoever the routes name was.

    `id` is a function of the incident and the transition, so a re-delivery carries the same id."""

    id: str
    incident: str
    model: str
    version: str
    cause: Cause
    status: AlertStatus
    severity: Severity
    sentence: str
    opened: int
    time: int
    closed: int | None = None
    monitors: list[str] = []
    count: int = 0
    onset: int | None = None
    evidence: list[Witnessed] = []
    request: str | None = None
    team: str | None = None
    advice: str = ""
    deferred: str | None = None
    upstream: str | None = None
    part_of: str | None = None
    also: list[Also] = []
    models: int = 1
    by: str | None = None
    note: str | None = None
    held: str | None = None
    details: dict[str, str | int | float | bool | None] = {}


Rule = Literal["error_alarm", "prediction_alarm", "schedule", "manual"]


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """How to mix old and new: an event at `since` or later counts `weight` times as much as an older one."""

    since: int
    weight: float


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The training window advised: events with from <= time < to, ms since the epoch, of event time.

    `from` is null where react cannot say how far back to go. `events` is how many the window holds, about;
    `recent` how many of these are from after the change. With `mix` the recent ones are too few to stand alone."""

    start: int | None = msgspec.field(name="from")
    to: int
    why: str
    mix: Mix | None = None
    events: int | None = None
    recent: int | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Requests for this model in the last `days` of event time, this one included, of `limit`."""

    used: int
    limit: int
    days: int


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of cost and benefit. Null: nothing is."""

    events: int | None = None
    error_now: float | None = None
    error_reference: float | None = None


class RetrainingRequested(msgspec.Struct, frozen=True, kw_only=True):
    """A model version should be retrained. A job answers on `lifecycle`, naming `id` as its `request`.

    `id` is also the idempotency key: a function of model, version, rule, what triggered it, and how often that has
    been asked before. After `expires` (ms of event time) the request is void."""

    id: str
    model: str
    version: str
    time: int
    expires: int
    decision: Literal["retrain"]
    rule: Rule
    reason: str
    window: Window
    strategy: Literal["full", "incremental"]
    priority: Literal["high", "normal", "low"]
    evidence: list[Witnessed] = []
    profile: str | None = None
    estimates: Estimates = Estimates()
    budget: Budget | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day (UTC) of event time: how many pairs it has, and the sum of their errors. A pair's day is that on which
    its outcome became known."""

    start: int
    n: int
    total: float


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What judge knows of a model version, asked for by react's policy: whether it has labels; its error (`column`:
    error, loss or abs_error) day by day as far as that was asked for, and its mean in the `reference`; and the 99th
    percentile of how long labels take."""

    model: str
    version: str
    labelled: bool
    column: str | None = None
    days: list[Day] = []
    reference: float | None = None
    label_delay_ms: int | None = None


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents: those that everything given here fits. Names are patterns (`*`, `?`, `[ab]`), and an absent one
    fits all. `monitor` has to fit each monitor in alarm, so that what is not meant is still told. `up_to`: the
    gravest that fits; what is graver is told all the same."""

    model: str | None = None
    version: str | None = None
    team: str | None = None
    cause: Cause | None = None
    monitor: str | None = None
    up_to: Severity | None = None


CommandWhat = Literal["tick", "retrain", "ack", "resolve", "silence", "expire"]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something react is to do. `tick`: event time has come to `time`, and these are the facts it has asked for. The
    others are a person's (`by`, for a `reason`); their `time` is the wall clock, and decides nothing.

    `retrain`: a `model`. `ack`, `resolve`: an `incident`. `silence`: nobody is told of what `match` fits, from event
    time `since` (else now) to `until`, or for `for_ms`; `expire` ends the `silence` of that id, which is the id of the
    command that made it."""

    id: str
    what: CommandWhat
    time: int
    model: str | None = None
    version: str | None = None
    reason: str | None = None
    facts: list[Fact] = []
    by: str | None = None
    incident: str | None = None
    silence: str | None = None
    match: Match | None = None
    since: int | None = None
    until: int | None = None
    for_ms: int | None = None


def content_id(*parts: str | int) -> str:
    """128 bits of BLAKE2b over what identifies a record: the same content, the same id."""
    text = "\x1f".join(map(str, parts))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
