"""`driftline notify`: whether receivers can be told, and who would be told of what."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast, get_args

import orjson
import typer
from rich.table import Table
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, out, settings
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.contracts.reactions import Cause
from driftline.contracts.records import Severity
from driftline.errors import Misconfigured, Transient
from driftline.react.notify.notification import Channel, Notification, Refused
from driftline.react.routes import Route, RouteTable
from driftline.react.subject import Subject
from driftline.receivers import lines
from driftline.routing import route_table
from driftline.terminal import printable

commands = typer.Typer(no_args_is_help=True, help="Who is told of alerts, and whether they can be.")


@dataclass(frozen=True)
class Outcome:
    """What came of a test. `why`: what the receiver answers, None where it has taken it."""

    receiver: str
    why: str | None


@commands.command(
    epilog="Examples: `driftline notify test pager`, `driftline notify test 1 -c driftline.yaml`, "
    "`driftline notify test --all`"
)
def test(
    route: Annotated[
        str | None, typer.Argument(metavar="ROUTE", help="A route's name or place, or a receiver's name.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Every receiver there is.")] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Send a test message to the receivers of a route, from here, once.

    It says that it is a test; PagerDuty's incident is resolved at once. Exit code 1 if one does not take it.
    """
    loaded = settings(config).config
    names = _named(route_table(loaded), route, every)
    outcomes = asyncio.run(_test(loaded, names))
    for outcome in outcomes:
        if json:
            typer.echo(
                orjson.dumps({"receiver": outcome.receiver, "taken": outcome.why is None, "why": outcome.why})
            )
        elif outcome.why is None:
            out.print(Text.assemble((outcome.receiver, "bold"), ": ", ("taken", "green")), soft_wrap=True)
        else:
            said = printable(outcome.why)
            out.print(
                Text.assemble((outcome.receiver, "bold"), ": ", ("not taken", "red"), f": {said}"), soft_wrap=True
            )
    if any(outcome.why is not None for outcome in outcomes):
        raise typer.Exit(1)


def _named(routes: RouteTable, name: str | None, every: bool) -> list[str]:
    if not routes.receivers:
        raise Misconfigured("there are no receivers; see notify.receivers")
    if every == (name is not None):
        raise Misconfigured("give a route or a receiver, or --all")
    if name is None:
        return list(routes.receivers)
    if name in routes.receivers:
        return [name]
    for route in routes.routes:
        if route.name == name:
            return list(dict.fromkeys((*route.receivers, *route.escalate_to)))
    known = ", ".join(dict.fromkeys((*routes.receivers, *(route.name for route in routes.routes))))
    raise Misconfigured(f"no route and no receiver is called {name[:60]!r}; there are {known}")


async def _test(config: Config, names: Sequence[str]) -> list[Outcome]:
    clock = SystemClock()
    channels = {line.name: line.channel(clock) for line in lines(config, names)}
    return list(await asyncio.gather(*(_send(name, channels[name]) for name in names)))


async def _send(name: str, channel: Channel) -> Outcome:
    id = uuid.uuid4().hex
    try:
        await channel.send(Notification(id=id, receiver=name, key=f"test-{id}", test=True), None)
    except (Refused, Transient) as error:
        return Outcome(name, str(error))
    finally:
        await channel.close()
    return Outcome(name, None)


@commands.command(
    "routes",
    epilog="Examples: `driftline notify routes fraud-eu`, "
    "`driftline notify routes fraud-eu --cause quality --severity critical --monitor features.income:quality`",
)
def routes_(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    version: Annotated[str, typer.Option("--version", help="Its version.")] = "1",
    cause: Annotated[str, typer.Option("--cause", help=f"One of {', '.join(get_args(Cause))}.")] = "data",
    severity: Annotated[str, typer.Option("--severity", help=f"One of {', '.join(get_args(Severity))}.")] = "error",
    monitor: Annotated[
        list[str] | None, typer.Option("--monitor", help="A monitor in alarm; may be given again.")
    ] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Show who would be told of an incident, and when. Nothing is sent, and silences are not looked at."""
    for given, kind, what in ((cause, Cause, "cause"), (severity, Severity, "severity")):
        if given not in get_args(kind):
            raise Misconfigured(f"there is no {what} {given[:60]!r}; there are {', '.join(get_args(kind))}")
    routes = route_table(settings(config).config)
    team = routes.team(model)
    subject = Subject(model, version, cast("Cause", cause), cast("Severity", severity), team, monitor or [])
    found = routes.fitting(subject)
    if json:
        typer.echo(orjson.dumps({"team": team, "routes": [_plain(route) for route in found]}))
        return
    if team is not None:
        out.print(f"team {printable(team)}", highlight=False)
    if not found:
        out.print("nobody is told: no route fits; the topic has it all the same")
        return
    table = Table("route", "told", "after", "again after", "escalates after", "to", "of the end")
    for route in found:
        timing = route.timing
        wait = f"by the clock: {route.digest}" if route.digest else _seconds(timing.group_wait_ms)
        table.add_row(
            *map(printable, (route.name, ", ".join(route.receivers), wait)),
            "" if route.digest else _seconds(timing.repeat_ms),
            _seconds(timing.escalate_ms),
            printable(", ".join(route.escalate_to)),
            "yes" if route.resolved else "no",
        )
    out.print(table)


def _plain(route: Route) -> dict[str, object]:
    timing = route.timing
    return {
        "name": route.name,
        "receivers": list(route.receivers),
        "group_wait_s": timing.group_wait_ms / 1000,
        "repeat_s": None if timing.repeat_ms is None else timing.repeat_ms / 1000,
        "escalate_s": None if timing.escalate_ms is None else timing.escalate_ms / 1000,
        "escalate_to": list(route.escalate_to),
        "digest": route.digest,
        "resolved": route.resolved,
    }


def _seconds(ms: int | None) -> str:
    if ms is None:
        return "never"
    seconds = ms / 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
