"""What react's policy goes by. Times in milliseconds of event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from driftline.contracts.reactions import Match
from driftline.react.subject import Subject

BUDGET_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Timing:
    """When people are told of an incident. `group_wait_ms`: after it opened, so that what comes with it is told with
    it; 0: at once, and alone. `repeat_ms`: again while it lasts and nobody has acknowledged it. `escalate_ms`: once,
    when nobody has acknowledged it for so long since people first heard. None: never."""

    group_wait_ms: int = 0
    repeat_ms: int | None = None
    escalate_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DigestPlan:
    """A route that tells by the clock: `name`, and its crontab (UTC, of event time)."""

    name: str
    schedule: str


class Routes(Protocol):
    """What the core asks of the routes. Pure: the same question has the same answer while the process lives."""

    def team(self, model: str) -> str | None:
        """The team whose model it is."""
        ...

    def timing(self, subject: Subject) -> Timing:
        """That of the first route that fits."""
        ...

    def digests(self) -> Sequence[DigestPlan]: ...

    def in_digest(self, plan: DigestPlan, subject: Subject) -> bool:
        """Whether a digest is to list this incident."""
        ...


class NoRoutes:
    """Nobody is told; alerts are on their topic at once."""

    def team(self, model: str) -> str | None:
        return None

    def timing(self, subject: Subject) -> Timing:
        return Timing()

    def digests(self) -> Sequence[DigestPlan]:
        return ()

    def in_digest(self, plan: DigestPlan, subject: Subject) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window that comes again: for `lasts_ms` from each time that the crontab (UTC, of event time) names."""

    match: Match
    schedule: str
    lasts_ms: int
    reason: str = ""
    by: str = ""


Importance = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class ReactSettings:
    """`retrain`: whether requests are made by alarms (schedule and people may always). `schedule`: a crontab in
    UTC. `budget`: requests a model in 30 days, those of people counted but never refused.

    `update_every_ms`: least time between two tellings of an incident; it doubles with each, up to `quietest_ms`.
    `reopen_ms`: an incident that alarms again sooner after its end is the same one. `upstream`: pattern of a column
    to the name of what fills it; incidents of several models that have one in common and opened within `together_ms`
    are told together. `importance`: pattern of `model` or `model/column` to how much it matters. `busy_per_day`,
    `idle_per_day`: events beyond which, and below which, a matter is graver, or less grave."""

    retrain: bool = True
    cooldown_ms: int = 21_600_000
    expire_ms: int = 604_800_000
    escalate_ms: int = 3_600_000
    update_every_ms: int = 300_000
    service_quiet_ms: int = 3_600_000
    enough_events: int = 5_000
    compare_pairs: int = 500
    compare_days: int = 7
    budget: int = 10
    strategy: Literal["full", "incremental"] = "full"
    schedule: str | None = None
    quietest_ms: int = 86_400_000
    reopen_ms: int = 21_600_000
    together_ms: int = 600_000
    upstream: Mapping[str, str] = field(default_factory=dict)
    importance: Mapping[str, Importance] = field(default_factory=dict)
    busy_per_day: int | None = None
    idle_per_day: int | None = None
    maintenance: tuple[Maintenance, ...] = ()
    routes: Routes = field(default_factory=NoRoutes)
