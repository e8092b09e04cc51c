"""Who is told of what: receivers, and the routes that lead to them. Seconds of routes are of event time."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from croniter import croniter
from pydantic import BeforeValidator, Field, field_validator, model_validator

from driftline.config.base import Names, Number, Section, Whole, parsed, section, setting
from driftline.config.receivers import Receiver
from driftline.contracts.reactions import Cause

MAX_RECEIVERS = 50


class RouteMatch(Section):
    """What a route is for: everything given has to fit; of several, one. Names are patterns (`*`, `?`, `[ab]`)."""

    model: Names = setting((), "Models.")
    version: Names = setting((), "Versions.")
    team: Names = setting((), "Teams, as `notify.teams` names them.")
    cause: Names = setting((), f"Causes: {', '.join(get_args(Cause))}.")
    severity: Literal["critical", "error", "warning", "info"] = setting("warning", "The least that is told.")
    monitor: Names = setting((), "Monitors; one of those in alarm has to fit: `features.income:*`.")

    @field_validator("cause")
    @classmethod
    def _causes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(get_args(Cause))):
            raise ValueError(f"there is no cause {unknown[0][:60]!r}; causes are {', '.join(get_args(Cause))}")
        return value


class Route(Section):
    """Who is told, when, and how often. The first route that fits ends it, unless it says `continue`."""

    name: str = setting("", "What `driftline notify test` calls it; without, its place: `1`.", max_length=60)
    match: RouteMatch = section(RouteMatch, "What it is for; all that is at least a warning without.")
    receivers: Names = setting(..., "Who is told.", min_length=1)
    goes_on: bool = Field(False, alias="continue", description="Whether further routes are asked too.")
    group_wait_s: Number = setting(
        60.0,
        "Seconds after an incident opened until it is told, so that what belongs together is one message.",
        ge=0,
    )
    repeat_s: Number | None = setting(
        86_400.0, "Seconds after which one that nobody has acknowledged is told again; null: never.", gt=0
    )
    escalate_s: Number | None = setting(
        None, "Seconds after which one that nobody has acknowledged escalates; null: never.", gt=0
    )
    escalate_to: Names = setting((), "Who is told then, beside the receivers.")
    digest: str | None = setting(
        None, "Crontab (UTC, event time): told by the clock, as one message, and not at once: `0 8 * * 1-5`."
    )
    resolved: bool = setting(True, "Whether the receivers are told of the end.")

    @field_validator("digest")
    @classmethod
    def _crontab(cls, value: str | None) -> str | None:
        if value is not None and (len(value.split()) != 5 or not croniter.is_valid(value)):
            raise ValueError("write a crontab of five fields, such as `0 8 * * 1-5`")
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.escalate_s is None) != (not self.escalate_to):
            raise ValueError("escalate_s and escalate_to go together")
        if self.digest is not None and self.escalate_to:
            raise ValueError("a digest does not escalate")
        return self


class Notify(Section):
    """Who is told of alerts, beside the topic. Without receivers, nobody is called."""

    receivers: Annotated[tuple[Receiver, ...], BeforeValidator(parsed)] = setting(
        (),
        "Who can be told: `[{name: team, type: slack, url_file: /run/secrets/slack}]`.",
        max_length=MAX_RECEIVERS,
    )
    routes: Annotated[tuple[Route, ...], BeforeValidator(parsed)] = setting(
        (), "Who is told of what, in this order. Without: all receivers of all that is at least a warning."
    )
    teams: Annotated[dict[str, Names], BeforeValidator(parsed)] = setting(
        {}, "Whose a model is, by patterns of its name: `{risk: ['fraud*', credit]}`. The first that fits."
    )
    requests: Names = setting((), "Receivers of retraining requests too.")
    deployments: Names = setting((), "Receivers of deployments and rollbacks too: PagerDuty's change events.")
    values: bool = setting(
        False, "Whether messages may name categories and values of features, which may be about people."
    )
    timeout_s: Number = setting(10.0, "How long each phase of a call may take, seconds.", gt=0, le=120)
    allow_private: Names = setting(
        (), "Networks that receivers may be in although they are not public: `10.0.0.0/8`."
    )
    ca_file: Path | None = setting(None, "Certificates (PEM) to trust beside the public ones.")
    max_pending: Whole = setting(
        1_000, "Notifications that wait for a receiver that is away; beyond, the oldest give way.", ge=1, le=100_000
    )

    @field_validator("allow_private")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text[:60]!r} is no network: write 10.0.0.0/8") from None
        return value

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = [receiver.name for receiver in self.receivers]
        _once("receiver", known)
        _once("route", [route.name for route in self.routes if route.name])
        for number, route in enumerate(self.routes, start=1):
            _known(f"route {route.name or number}", (*route.receivers, *route.escalate_to), known)
            if unknown := sorted(set(route.match.team) - set(self.teams)):
                raise ValueError(f"route {route.name or number}: notify.teams has no {unknown[0][:60]!r}")
        _known("requests", self.requests, known)
        _known("deployments", self.deployments, known)
        return self


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {what}s are called {name[:60]!r}")
        seen.add(name)


def _known(where: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise ValueError(f"{where}: no receiver is called {name[:60]!r}; {there}")
