"""Who is told of what: routes are asked in their order, and the first that fits ends it unless it `goes_on`. Pure.

A route with a `digest` tells by the clock, and not at once. Names are patterns (`*`, `?`, `[ab]`), case matters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from driftline.contracts.reactions import Alert, Cause
from driftline.contracts.records import Severity
from driftline.react.causes import compared, rank
from driftline.react.settings import DigestPlan, Timing
from driftline.react.subject import Subject, of_alert

_TOLD_TO_ALL: Final = frozenset({"resolved", "acknowledged"})
"""What all who have heard of the incident want to know, whatever its routes are by now."""

ALONE: Final = Timing()
"""At once, and once."""
Patterns = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fits:
    """What a route is for: everything given has to fit; of several patterns, one. `severity`: at least. `monitor`: of
    the monitors in alarm, one. Nothing given: all."""

    model: Patterns = ()
    version: Patterns = ()
    team: Patterns = ()
    cause: tuple[Cause, ...] = ()
    severity: Severity = "info"
    monitor: Patterns = ()

    def subject(self, subject: Subject) -> bool:
        return (
            rank(subject.severity) >= rank(self.severity)
            and (not self.cause or subject.cause in self.cause)
            and _one(self.model, (subject.model,))
            and _one(self.version, (subject.version,))
            and _one(self.team, () if subject.team is None else (subject.team,))
            and _one(self.monitor, subject.monitors)
        )


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is unique. `escalate_to`: who is told beside the `receivers` once it escalates. `resolved`: whether they
    are told of the end. `digest`: a crontab (UTC, of event time)."""

    name: str
    receivers: Sequence[str]
    fits: Fits = Fits()
    goes_on: bool = False
    timing: Timing = ALONE
    escalate_to: Sequence[str] = ()
    resolved: bool = True
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Implements `react.settings.Routes`. `receivers`: all names there are. `teams`: their names, and the patterns of
    their models, the first that fits. `requests`, `events`: who is told of retraining requests and of deployments."""

    receivers: Sequence[str] = ()
    routes: Sequence[Route] = ()
    teams: Sequence[tuple[str, Patterns]] = ()
    requests: Sequence[str] = ()
    events: Sequence[str] = ()
    _digests: dict[str, Route] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digests", {r.name: r for r in self.routes if r.digest is not None})

    def team(self, model: str) -> str | None:
        return next((name for name, patterns in self.teams if _one(patterns, (model,))), None)

    def fitting(self, subject: Subject) -> list[Route]:
        """The routes that tell of it, digests too, in their order."""
        found: list[Route] = []
        for route in self.routes:
            if route.fits.subject(subject):
                found.append(route)
                if not route.goes_on:
                    break
        return found

    def timing(self, subject: Subject) -> Timing:
        return next((r.timing for r in self.fitting(subject) if r.digest is None), ALONE)

    def digests(self) -> Sequence[DigestPlan]:
        return [DigestPlan(r.name, r.digest) for r in self._digests.values() if r.digest is not None]

    def in_digest(self, plan: DigestPlan, subject: Subject) -> bool:
        return any(r.name == plan.name and r.digest is not None for r in self.fitting(subject))

    def told(self, alert: Alert, heard: Collection[str]) -> list[str]:
        """The receivers of an alert. `heard`: those that have been told of its incident, or are about to be.

        That a receiver refuses (it is the `version` of such an alert) is told to others: those the routes name, else
        all."""
        routes = [r for r in self.fitting(of_alert(alert)) if r.digest is None]
        names = [name for route in routes if _wants(route, alert) for name in _of(route, alert)]
        if alert.status in _TOLD_TO_ALL:
            deaf = {name for name in heard if not self._may_hear(name, alert)}
            names += [name for name in heard if name not in deaf]
        if alert.cause == "notification":
            names = [name for name in names if name != alert.version]
            names = names or [name for name in self.receivers if name != alert.version]
        return [name for name in self.receivers if name in names]

    def _may_hear(self, receiver: str, alert: Alert) -> bool:
        """Unless all routes that name it say that it does not want to."""
        routes = [r for r in self.routes if receiver in r.receivers or receiver in r.escalate_to]
        return not routes or any(_wants(route, alert) for route in routes)

    def digested(self, name: str) -> Sequence[str]:
        """The receivers of a digest."""
        route = self._digests.get(name)
        return () if route is None else route.receivers


def _wants(route: Route, alert: Alert) -> bool:
    return route.resolved or alert.status != "resolved" or compared(alert)


def _of(route: Route, alert: Alert) -> list[str]:
    return [*route.receivers, *(route.escalate_to if alert.status == "escalated" else ())]


def _one(patterns: Patterns, names: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
