"""`driftline incidents`: what is the matter, and what people do about it.

Reads the state that react has written; whatever changes something is a command on the topic, which react takes: there
is one writer. Commands wait for react's answer and say it."""

from __future__ import annotations

import asyncio
import getpass
import uuid
from dataclasses import asdict
from typing import Annotated, Any, Final, get_args

import msgspec
import orjson
import typer
from rich.table import Table
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, out, settings
from driftline.cli.connect import patiently, writing
from driftline.cli.moments import duration_ms, moment
from driftline.cli.profiles import shown_time
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.contracts.reactions import Cause, Command, CommandWhat, Match
from driftline.contracts.records import Severity
from driftline.errors import Misconfigured, Transient
from driftline.react.silences import Silence
from driftline.react.slot import SLOT
from driftline.react.standing import Standing, standings
from driftline.react.state import State, from_fields
from driftline.react.topics import command_record
from driftline.terminal import printable
from driftline.wiring import redis_store, worker_settings

WAIT_S: Final = 30.0
POLL_S: Final = 0.2
SHOWN_ID: Final = 8

commands = typer.Typer(no_args_is_help=True, help="What is the matter, and what people do about it.")

Id = Annotated[str, typer.Argument(help="The incident's id, or how it begins.")]
By = Annotated[str | None, typer.Option("--by", help="Who you are; without it, the name you are logged in by.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; messages carry it.")]
Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the answer.")]


@commands.command("list", epilog="Examples: `driftline incidents list`, `driftline incidents list --all --json`")
def list_(
    every: Annotated[bool, typer.Option("--all", "-a", help="Those that have ended lately, too.")] = False,
    model: Annotated[str | None, typer.Option("--model", help="Of this model only.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Show open incidents: how grave, since when, who has heard of them, and what is advised."""
    found, _ = asyncio.run(_look(settings(config).config))
    shown = [s for s in found if (every or s.status != "resolved") and model in (None, s.model)]
    if json:
        for one in shown:
            typer.echo(orjson.dumps(asdict(one)).decode())
        return
    if not shown:
        out.print("no open incident" if not every else "no incident is remembered")
        return
    table = Table("id", "severity", "model", "cause", "stands", "since", "what")
    for one in shown:
        where = printable(f"{one.model} {one.version}") if one.model else "Driftline"
        stands = one.status if one.held is None else f"{one.status}, held"
        colour = {"critical": "bold red", "error": "red"}.get(one.severity, "")
        table.add_row(
            one.id[:SHOWN_ID],
            Text(one.severity, style=colour),
            where,
            one.cause,
            stands,
            shown_time(one.opened),
            printable(one.sentence),
        )
    out.print(table)


@commands.command(epilog="Example: `driftline incidents show 3f2a91c0`")
def show(id: Id, config: ConfigFile = None, json: Json = False) -> None:
    """Show one incident: its monitors, what people have heard of it, why it is held, what is advised."""
    found, _ = asyncio.run(_look(settings(config).config))
    one = _picked(found, id)
    if json:
        typer.echo(orjson.dumps(asdict(one)).decode())
        return
    for name, value in asdict(one).items():
        if value is None or value == []:
            continue
        shown = shown_time(value) if name in ("opened", "closed", "heard_at") else value
        text = ", ".join(value) if isinstance(value, list) else str(shown)
        out.print(Text.assemble((f"{name.replace('_', ' '):16}", "bold"), printable(text)), soft_wrap=True)


@commands.command(epilog="Example: `driftline incidents ack 3f2a91c0 --reason 'the loader is being mended'`")
def ack(
    id: Id, reason: Reason = None, by: By = None, wait: Wait = WAIT_S, config: ConfigFile = None, json: Json = False
) -> None:
    """Say that somebody is on it: it is neither repeated nor escalated any more, until it opens again.

    What is told together with it is acknowledged too.
    """
    loaded = settings(config).config
    command = _command("ack", by, reason, incident=_id(loaded, id))
    _send(loaded, command, wait, json)


@commands.command(epilog="Example: `driftline incidents resolve 3f2a91c0 --reason 'it was a test'`")
def resolve(
    id: Id, reason: Reason = None, by: By = None, wait: Wait = WAIT_S, config: ConfigFile = None, json: Json = False
) -> None:
    """End an incident by hand, with what is told together with it. It opens again with the next alarm."""
    loaded = settings(config).config
    command = _command("resolve", by, reason, incident=_id(loaded, id))
    _send(loaded, command, wait, json)


@commands.command(
    epilog="Examples: `driftline incidents silence --model fraud --for 2h --reason 'migration'`, "
    "`driftline incidents silence --monitor 'features.income:*' --up-to error --for 1d --reason 'known'`"
)
def silence(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")],
    model: Annotated[str | None, typer.Option(help="Models, as a pattern: `fraud*`.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Versions, as a pattern.")] = None,
    team: Annotated[str | None, typer.Option(help="Teams, as a pattern.")] = None,
    cause: Annotated[
        str | None, typer.Option(help="The cause: quality, data, prediction, performance, ...")
    ] = None,
    monitor: Annotated[
        str | None, typer.Option(help="Monitors, as a pattern; each of those in alarm has to fit.")
    ] = None,
    up_to: Annotated[str | None, typer.Option(help="The gravest that is silenced: warning, error.")] = None,
    lasts: Annotated[str | None, typer.Option("--for", help="How long: `30m`, `2h`, `1d`.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="When it begins: `2026-01-31T10:00Z`; else now.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="When it ends.")] = None,
    by: By = None,
    wait: Wait = WAIT_S,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Tell nobody of what fits, for a while. Times are of event time. What lasts is told when the silence ends.

    Alerts stay on their topic, saying who has silenced them.
    """
    if (lasts is None) == (until is None):
        raise Misconfigured("say how long by either --for or --until")
    given = {"model": model, "version": version, "team": team, "cause": cause, "monitor": monitor, "up_to": up_to}
    try:
        match = msgspec.convert(given, Match)
    except msgspec.ValidationError:
        raise Misconfigured(
            f"--cause is one of {', '.join(get_args(Cause))}; --up-to of {', '.join(get_args(Severity))}"
        ) from None
    if match == Match():
        raise Misconfigured("say what is to be silenced; `--model '*'` is everything")
    command = _command(
        "silence",
        by,
        reason,
        match=match,
        since=moment(start, "--from"),
        until=moment(until, "--until"),
        for_ms=None if lasts is None else duration_ms(lasts),
    )
    _send(settings(config).config, command, wait, json)


@commands.command(epilog="Example: `driftline incidents silences --json`")
def silences(config: ConfigFile = None, json: Json = False) -> None:
    """Show the silences that have not ended."""
    _, state = asyncio.run(_look(settings(config).config))
    found = sorted(state.policy.silences.values(), key=lambda s: (s.until, s.id))
    if json:
        for one in found:
            typer.echo(msgspec.json.encode(one).decode())
        return
    if not found:
        out.print("no silence")
        return
    table = Table("id", "what", "from", "until", "by", "why")
    for one in found:
        table.add_row(
            one.id[:SHOWN_ID],
            printable(words(one)),
            shown_time(one.since),
            shown_time(one.until),
            printable(one.by),
            printable(one.reason),
        )
    out.print(table)


@commands.command(epilog="Example: `driftline incidents expire 5b1d2c7e`")
def expire(
    id: Annotated[str, typer.Argument(help="The silence's id, or how it begins.")],
    by: By = None,
    wait: Wait = WAIT_S,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """End a silence. What it held and still lasts is told."""
    loaded = settings(config).config
    _, state = asyncio.run(_look(loaded))
    found = [name for name in state.policy.silences if name.startswith(id)]
    _send(loaded, _command("expire", by, None, silence=_only("silence", id, found)), wait, json)


def words(silence: Silence) -> str:
    """`model=fraud, up to error`."""
    given = {name: getattr(silence.match, name) for name in ("model", "version", "team", "cause", "monitor")}
    parts = [f"{name}={value}" for name, value in given.items() if value is not None]
    return ", ".join(parts + ([f"up to {silence.match.up_to}"] if silence.match.up_to else []))


async def _look(config: Config) -> tuple[list[Standing], State]:
    store = redis_store(config)
    try:
        snapshot = await patiently(lambda: store.read(SLOT))
    finally:
        await store.close()
    state, _ = from_fields(snapshot.fields)
    state = state or State()
    return standings(state, worker_settings(config).policy), state


def _id(config: Config, id: str) -> str:
    found, _ = asyncio.run(_look(config))
    return _picked(found, id).id


def _picked(found: list[Standing], id: str) -> Standing:
    ids = [one.id for one in found if one.id.startswith(id)]
    only = _only("incident", id, ids)
    return next(one for one in found if one.id == only)


def _only(what: str, id: str, ids: list[str]) -> str:
    if len(ids) != 1 or not id:
        how = "no" if not ids else "more than one"
        raise Misconfigured(f"the ids of {how} {what} begin with {id[:60]!r}")
    return ids[0]


def _command(what: CommandWhat, by: str | None, reason: str | None, **given: Any) -> Command:
    id, now = uuid.uuid4().hex, SystemClock().now_ms()
    return Command(id=id, what=what, time=now, by=by or getpass.getuser(), reason=reason, **given)


def _send(config: Config, command: Command, wait_s: float, json: bool) -> None:
    outcome = asyncio.run(_ask(config, command, wait_s))
    if outcome.startswith("refused: "):
        raise Misconfigured(outcome)
    if json:
        typer.echo(orjson.dumps({"command": command.id, "outcome": outcome}).decode())
    else:
        out.print(printable(outcome.removeprefix("ok: ")))


async def _ask(config: Config, command: Command, wait_s: float) -> str:
    """What react says of a command. Transient where it says nothing in time: it may still take it."""
    store = redis_store(config)
    try:
        async with writing(config) as writer:
            await patiently(lambda: writer.publish([command_record(config.topics.commands, command)]))
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            snapshot = await patiently(lambda: store.read(SLOT))
            state, _ = from_fields(snapshot.fields)
            if state is not None and command.id in state.policy.outcomes:
                return state.policy.outcomes[command.id]
            if loop.time() >= until:
                raise Transient(
                    f"react has not taken the command {command.id} within {wait_s:g} s; it is on the topic, and will be"
                )
            await asyncio.sleep(POLL_S)
    finally:
        await store.close()
