"""What Driftline tells the world: signals and dead letters; and the lifecycle events it is told.

What react makes of them is in `reactions.py`."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

SignalState = Literal["alarm", "resolved", "info"]
Severity = Literal["critical", "error", "warning", "info"]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its error bar: `low` and `high` are two standard errors away."""

    value: float
    low: float
    high: float
    unit: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a distribution that moved (values 20 to 35, a category): from its share in the reference to the
    present one."""

    what: str
    reference: float
    current: Estimate


class UnitChange(msgspec.Struct, frozen=True, kw_only=True):
    """Values look like the reference's times `scale` plus `offset`."""

    scale: float
    offset: float


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution then and now, for a picture: at most 20 bars, their `labels`, their shares in the `reference`
    and since the onset (`current`)."""

    labels: list[str]
    reference: list[float]
    current: list[float]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What moved: the witness (a share, a mean, a spread), from the reference's value to the present one. `parts`:
    the parts of the distribution that contribute most, largest first, three at the most."""

    witness: str
    reference: float
    current: Estimate
    parts: list[Part] = []
    unit_change: UnitChange | None = None
    shape: Shape | None = None


class Distances(msgspec.Struct, frozen=True, kw_only=True):
    """Conventional distances between the recent window and the reference. For display; they never page.

    PSI and Jensen-Shannon (base 2) on the coarse bins, KS on bin edges, Wasserstein-1 in reference SDs
    (None for categories)."""

    psi: float
    js: float
    ks: float | None
    wasserstein_sd: float | None
    n: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why: `log_evidence` against `log_threshold` (nats), n since onset, n_eff of these, and what the second
    opinions said (detector name: event-time ms of its last change point). `rows`: of the stream since onset, where n
    counts only some of them (the positives, of a limit on false negatives). Without a change, evidence of x nats comes
    once in e^x `unit`s at most, on average."""

    detector: str
    log_evidence: float
    log_threshold: float
    n: int
    n_eff: float
    rows: int | None = None
    opinions: dict[str, int | None] = {}
    unit: Literal["days", "events"] = "days"


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that changed, or a thing about the service itself (`monitor` starts with "system:").

    `sequence` counts the signals of this monitor of this model version from 1; `id` is a function of both, so a
    re-delivery carries the same id. Times are ms since the epoch, of event time."""

    id: str
    model: str
    version: str
    monitor: str
    sequence: int
    state: SignalState
    severity: Severity
    time: int
    sentence: str
    onset: int | None = None
    effect: Effect | None = None
    evidence: Evidence | None = None
    distances: Distances | None = None
    profile: str | None = None
    details: dict[str, str | int | float | bool | None] = {}


def signal_id(model: str, version: str, monitor: str, sequence: int) -> str:
    """Deterministic id of a signal: 128 bits of BLAKE2b over its identity."""
    text = "\x1f".join((model, version, monitor, str(sequence)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record was read: enough to find it again."""

    topic: str
    partition: int
    offset: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was refused. `sha256` and `size` are of the whole value; `payload` is the value itself,
    base64, or None where `truncated` (too large to carry)."""

    reason: str
    detail: str
    origin: Origin
    timestamp: int
    size: int
    sha256: str
    key: str | None
    payload: str | None
    truncated: bool = False
    headers: dict[str, str] = {}


LifecycleWhat = Literal[
    "registered",
    "retraining.started",
    "retraining.succeeded",
    "retraining.failed",
    "deployed",
    "rolled_back",
    "retired",
]


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a model version, told by whoever trains and deploys it."""

    id: str
    what: LifecycleWhat
    model: str
    version: str
    time: int
    request: str | None = None
    details: dict[str, str | int | float | bool | None] = {}
