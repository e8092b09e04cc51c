"""From the configuration to the routes."""

from __future__ import annotations

from typing import cast

from driftline.config import Config
from driftline.config.notify import Route as RouteGiven
from driftline.contracts.reactions import Cause
from driftline.react.routes import Fits, Route, RouteTable
from driftline.react.settings import Timing


def route_table(config: Config) -> RouteTable:
    """Without routes, there is one: everybody, of all that is at least a warning."""
    notify = config.notify
    names = tuple(receiver.name for receiver in notify.receivers)
    given = notify.routes or ((RouteGiven.model_validate({"receivers": names}),) if names else ())
    return RouteTable(
        receivers=names,
        routes=[_route(route, route.name or str(number)) for number, route in enumerate(given, start=1)],
        teams=tuple(notify.teams.items()),
        requests=notify.requests,
        events=notify.deployments,
    )


def _route(given: RouteGiven, name: str) -> Route:
    match = given.match
    return Route(
        name=name,
        receivers=given.receivers,
        fits=Fits(
            model=match.model,
            version=match.version,
            team=match.team,
            cause=cast("tuple[Cause, ...]", match.cause),
            severity=match.severity,
            monitor=match.monitor,
        ),
        goes_on=given.goes_on,
        timing=Timing(
            group_wait_ms=round(1000 * given.group_wait_s),
            repeat_ms=None if given.repeat_s is None else round(1000 * given.repeat_s),
            escalate_ms=None if given.escalate_s is None else round(1000 * given.escalate_s),
        ),
        escalate_to=given.escalate_to,
        resolved=given.resolved,
        digest=given.digest,
    )
