"""`driftline explain`: what a model's monitors will notice, how fast, and what they cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, out, settings
from driftline.cli.connect import patiently, reading
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.errors import Misconfigured
from driftline.registry import ProfileRegistry
from driftline.stats.explain import Delay, FleetPlan, MonitorPlan, Plan, StreamPlan
from driftline.stats.explain import explain as plan_of
from driftline.stats.profile import Profile, decode_profile
from driftline.terminal import printable
from driftline.wiring import detection_settings

EXAMPLES: Final = (
    "Examples: `driftline explain churn`, `driftline explain churn --version 7 --json`, "
    "`driftline explain churn --profile churn-7.profile`"
)


def explain(
    model: Annotated[str, typer.Argument(help="The model's name, as its events have it.")],
    version: Annotated[str | None, typer.Option("--version", "-v", help="One version; all, if left out.")] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="A profile in a file, in place of those in force.")
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Say in words what will be noticed how fast, and what cannot be.

    For every monitor: how many values it judges at a time, the evidence it pages at, the smallest shift its
    reference lets it see, and about how long the usual shifts take, at the traffic of the reference.
    """
    loaded = settings(config).config
    found = [read_profile(profile)] if profile is not None else asyncio.run(in_force(loaded))
    chosen = [p for p in found if p.model == model and version in (None, p.version)]
    if not chosen:
        known = ", ".join(sorted({f"{p.model} {p.version}" for p in found})) or "none"
        wanted = f"{model} {version}" if version is not None else model
        raise Misconfigured(f"there is no profile of {wanted}; there are: {known}")
    for one in sorted(chosen, key=lambda p: p.version):
        plan = plan_of(one, detection_settings(loaded))
        if json:
            typer.echo(msgspec.json.encode(plan).decode())
        else:
            show(plan)


def read_profile(path: Path) -> Profile:
    """The record of a profile, as it is on the topic `profiles`."""
    try:
        return decode_profile(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None


async def in_force(config: Config) -> list[Profile]:
    async with reading(config) as reader:
        registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
        await patiently(lambda: registry.refresh(force=True))
    return [standing.profile for standing in registry.all().values() if standing.profile is not None]


def show(plan: Plan) -> None:
    """The plan, for a person."""
    out.print(
        Text.assemble(
            (f"{printable(plan.model)} {printable(plan.version)}", "bold"),
            f", profile {plan.profile}, revision {plan.revision}: at most one false alarm in "
            f"{_span(plan, plan.arl0)} on average, all monitors together.",
        )
    )
    if plan.fleet is not None:
        out.print(_shared(plan, plan.fleet), soft_wrap=True, highlight=False)
    for stream in plan.streams:
        out.print(_table(stream))
        for line in _remarks(stream):
            out.print(printable(line), soft_wrap=True)
    for line in plan.limits:
        out.print(f"Limit {printable(line)}.", soft_wrap=True)


def _span(plan: Plan, arl0: float) -> str:
    return f"{arl0:,.12g} {plan.unit}" + (" of traffic" if plan.unit == "days" else "")


def _shared(plan: Plan, fleet: FleetPlan) -> str:
    """What one false alarm in the fleet means for this model, and what it costs."""
    each = " each, on average" if plan.unit == "events" else ""
    cost = f"monitors page at {fleet.nats:.1f} nats more than with a budget of its own"
    if fleet.later is not None:
        cost += f", and notice a shift about {100.0 * fleet.later:.0f} % later"
    return (
        f"It shares its budget: one false alarm in {_span(plan, fleet.arl0)}{each} among all of {fleet.models:,} model "
        f"versions (detection.fleet_models), so that it raises one of {fleet.models:,}. Its {cost}."
    )


def _table(stream: StreamPlan) -> Table:
    table = Table(
        "monitor",
        "judged at a time",
        "pages at",
        "cannot see less than",
        "notices, about",
        title=f"{stream.stream}: {stream.events:,} events over {duration(stream.hours)}",
    )
    for monitor in stream.monitors:
        table.add_row(
            printable(monitor.monitor),
            f"{monitor.unit_values:,.0f} values, {duration(monitor.unit_hours)}",
            "never" if monitor.level is None else f"{monitor.level:.1f} nats",
            printable(monitor.smallest_shift),
            _notices(monitor),
        )
    return table


def _notices(monitor: MonitorPlan) -> str:
    if monitor.level is None:
        return "-"
    return "\n".join(f"{_shift(delay)}: {_after(delay)}" for delay in monitor.delays)


def _shift(delay: Delay) -> str:
    return f"{delay.shift:g} SD" if delay.unit == "SD" else f"{delay.shift:+g} points"


def _after(delay: Delay) -> str:
    if delay.values is None or delay.hours is None:
        return "never"
    return f"{delay.values:,} values, {duration(delay.hours)}"


def _remarks(stream: StreamPlan) -> list[str]:
    """What a table has no room for: who never pages and why, what else there is to say, seasons, the self-check."""
    found = [f"{m.monitor} never pages: {m.why_not}." for m in stream.monitors if m.why_not]
    found += [f"{m.monitor}: {m.remark}." for m in stream.monitors if m.remark and not m.why_not]
    notes: dict[str, list[str]] = {}
    for monitor in stream.monitors:
        if monitor.note and not monitor.why_not:
            notes.setdefault(monitor.note, []).append(monitor.monitor)
    for note, monitors in notes.items():
        who = f"{len(monitors)} monitors" if len(monitors) > 3 else ", ".join(monitors)
        found.append(f"Season of {who}: {note}.")
    found.append(_check(stream))
    return found


def _check(stream: StreamPlan) -> str:
    check = stream.check
    if check is None and any(monitor.level is not None for monitor in stream.monitors):
        return "Self-check: none, for the reference was learnt from counts: there are no rows to replay."
    if check is None:
        return "Self-check: none, for nothing here pages."
    ratio = f"{'more than ' if not check.alarms else ''}{check.ratio:.2g} times"
    return (
        f"Self-check: the reference in random blocks, {check.length:.3g} {check.unit} of it with one false alarm "
        f"allowed in {check.arl0:.3g}, gave {check.alarms}: alarms are {ratio} as rare as asked for, at that level."
    )


def duration(hours: float) -> str:
    """18 s, 4.2 min, 3.1 h, 12 days."""
    for size, name in ((24.0, "days"), (1.0, "h"), (1.0 / 60.0, "min")):
        if hours >= size:
            return f"{hours / size:.3g} {name}"
    return f"{hours * 3_600.0:.2g} s"
