"""`driftline reference`: the references that models are judged by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer

from driftline.cli.app import ConfigFile, Json, err, note, out, settings
from driftline.cli.connect import patiently, reading, writing
from driftline.cli.moments import moment
from driftline.cli.profiles import (
    line_of,
    picked,
    shown_time,
    table_of_comparison,
    table_of_history,
    table_of_profile,
)
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.errors import Misconfigured
from driftline.reference_build import Columns, build_profile, read_table
from driftline.reference_history import history_profile, read_history
from driftline.registry import ProfileRegistry, Standing, profile_record
from driftline.runtime.log import LogReader
from driftline.stats.compare import compare as compared
from driftline.stats.profile import Profile, in_force_from
from driftline.stats.succession import aligned, switch_time
from driftline.wiring import decoder, detection_settings

commands = typer.Typer(no_args_is_help=True, help="Build, pin, list and compare the references of models.")

Model = Annotated[str, typer.Argument(help="The model's name, as its events have it.")]
Version = Annotated[str, typer.Option("--version", "-v", help="Its version, as its events have it.")]
At = Annotated[
    str | None,
    typer.Option(
        help="Event time (RFC 3339) from which it is in force, where another is now. Left out: as soon as no event "
        "can be lost by it, about a minute from now. For replays, whose event time is not the present."
    ),
]


async def _standing(config: Config, reader: LogReader, model: str, version: str) -> Standing:
    registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
    await patiently(lambda: registry.refresh(force=True))
    return registry.standing(model, version)


def succeeding(profile: Profile, standing: Standing, now: int, future_ms: int, at: int | None = None) -> Profile:
    """`profile` as the next revision: in force at once where there is no other, else from a moment on that every
    ingest has heard of before it reads an event of it."""
    revision = max([standing.void, *(p.revision for p in standing.profiles)]) + 1
    former = standing.profile
    if former is None:
        return in_force_from(profile, revision, 0)
    if at is None and former.judged_from > now:
        raise Misconfigured(
            f"revision {former.revision} takes force only at {shown_time(former.judged_from)}: pin another after that"
        )
    start = switch_time(profile, former, now, future_ms) if at is None else aligned(profile, former, at)
    if start <= former.judged_from:
        raise Misconfigured(
            f"--at must be later than {shown_time(former.judged_from)}, when revision {former.revision} took force"
        )
    return in_force_from(profile, revision, start)


async def pin(config: Config, made: Profile, model: str, version: str, at: int | None = None) -> Profile:
    """Put a profile in force, above any that is."""
    async with reading(config) as reader, writing(config) as writer:
        standing = await _standing(config, reader, model, version)
        future_ms = round(1000 * config.ingest.future_s)
        profile = succeeding(made, standing, SystemClock().now_ms(), future_ms, at)
        await patiently(lambda: writer.publish([profile_record(config.topics.profiles, profile)]))
    return profile


@commands.command(
    epilog="Example: `driftline reference build train.parquet --model churn --version 7 --outcome churned`"
)
def build(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines (.jsonl[.gz]): a row a prediction.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model's name, as its events have it.")],
    version: Version,
    time: Annotated[str, typer.Option(help="Column of the time: RFC 3339, timestamp, or ms since 1970.")] = "time",
    id: Annotated[str, typer.Option(help="Column of the id.")] = "id",
    prediction: Annotated[str, typer.Option(help="Column of the prediction.")] = "prediction",
    score: Annotated[str, typer.Option(help="Column of the score.")] = "score",
    outcome: Annotated[str, typer.Option(help="Column of the outcome, empty where it is not known.")] = "outcome",
    outcome_time: Annotated[str, typer.Option(help="Column of when the outcome became known.")] = "outcome_time",
    features: Annotated[
        str, typer.Option(help="Columns that are features, separated by commas; all others, if left out.")
    ] = "",
    at: At = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Make a training or validation set the reference of a model version.

    Rows of predictions the model made on data it was not trained on are best: the error on training rows is
    too low, and every later one will look like drift.
    """
    columns = Columns(
        time=time,
        id=id,
        prediction=prediction,
        score=score,
        outcome=outcome,
        outcome_time=outcome_time,
        features=tuple(name.strip() for name in features.split(",") if name.strip()),
    )
    loaded = settings(config).config
    since = moment(at, "--at")
    with err.status(f"reading {file.name}"):
        table = read_table(file)
    with err.status("fitting the reference"):
        made = build_profile(
            table,
            model=model,
            version=version,
            columns=columns,
            settings=detection_settings(loaded),
            created=SystemClock().now_ms(),
        )
    profile = asyncio.run(pin(loaded, made, model, version, since))
    show(profile, json)


@commands.command(
    name="pin",
    epilog="Examples: `driftline reference pin churn -v 7 --revision 2`, "
    "`driftline reference pin churn -v 7 --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z`",
)
def pin_command(
    model: Model,
    version: Version,
    revision: Annotated[int | None, typer.Option(help="Put this earlier revision in force again.")] = None,
    id: Annotated[str | None, typer.Option(help="The same by its id, or the first letters of it.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Learn from the events of this event time (RFC 3339) on.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Up to this event time (RFC 3339).")] = None,
    at: At = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Put a reference in force: an earlier one again, or one learnt from a range of time.

    A range is read from the topic of events, which must still hold it. An earlier revision becomes the newest
    one; nothing is taken out of the history.
    """
    ways = [revision is not None, id is not None, start is not None or to is not None]
    if sum(ways) != 1 or (start is None) != (to is None):
        raise Misconfigured(
            "give one of --revision, --id, or --from with --to; `driftline reference list` shows them"
        )
    loaded = settings(config).config
    since = moment(at, "--at")
    first, last = moment(start, "--from"), moment(to, "--to")
    if first is not None and last is not None:
        if first >= last:
            raise Misconfigured("--from must be earlier than --to")
        profile = asyncio.run(_pin_range(loaded, model, version, first, last, since))
    else:
        profile = asyncio.run(_pin_earlier(loaded, model, version, revision, id, since))
    show(profile, json)


async def _pin_range(config: Config, model: str, version: str, start: int, to: int, at: int | None) -> Profile:
    with err.status("reading events") as status:

        def told(done: int, total: int) -> None:
            status.update(f"reading events: {done:,} of {total:,}")

        async with reading(config) as reader:
            topic = config.topics.events[0]
            history = await patiently(
                lambda: read_history(reader, topic, decoder(config), model, version, start, to, told)
            )
        status.update("fitting the reference")
        made = history_profile(
            history,
            model=model,
            version=version,
            start=start,
            to=to,
            created=SystemClock().now_ms(),
            settings=detection_settings(config),
        )
    return await pin(config, made, model, version, at)


async def _pin_earlier(
    config: Config, model: str, version: str, revision: int | None, id_: str | None, at: int | None
) -> Profile:
    async with reading(config) as reader:
        standing = await _standing(config, reader, model, version)
    profile = picked(standing.profiles, revision, id_, f"{model} {version}")
    if standing.profile is not None and profile.id == standing.profile.id:
        raise Misconfigured(f"revision {profile.revision} is in force")
    again = in_force_from(profile, profile.revision, profile.judged_from, parent=profile.id)
    return await pin(config, again, model, version, at)


@commands.command(
    name="list", epilog="Examples: `driftline reference list`, `driftline reference list churn --json`"
)
def list_(
    model: Annotated[str | None, typer.Argument(help="Only this model's.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """List every reference there has been: which is in force, since when, and where it came from."""
    standings = asyncio.run(_all(settings(config).config))
    chosen = {key: s for key, s in sorted(standings.items()) if model is None or key[0] == model}
    if json:
        for standing in chosen.values():
            for profile in standing.profiles:
                typer.echo(orjson.dumps(line_of(profile, standing)).decode())
        return
    if not chosen:
        note("no references yet" if model is None else f"no references of {model} yet")
        return
    out.print(table_of_history(chosen))


async def _all(config: Config) -> dict[tuple[str, str], Standing]:
    async with reading(config) as reader:
        registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
        await patiently(lambda: registry.refresh(force=True))
    return registry.all()


@commands.command(name="show", epilog="Example: `driftline reference show churn --version 7 --revision 1`")
def show_command(
    model: Model,
    version: Version,
    revision: Annotated[int | None, typer.Option(help="This revision; the one in force, if left out.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Show what a reference holds, column by column."""
    standing = asyncio.run(_all(settings(config).config)).get((model, version), Standing())
    show(picked(_in_force_last(standing), revision, None, f"{model} {version}"), json)


def _in_force_last(standing: Standing) -> tuple[Profile, ...]:
    ours = standing.profile
    return standing.profiles if ours is None else (*(p for p in standing.profiles if p.id != ours.id), ours)


@commands.command(
    epilog="Examples: `driftline reference compare 3f2a 9c41`, `driftline reference compare churn/7/1 churn/8/1 --json`"
)
def compare(
    a: Annotated[str, typer.Argument(help="The one: first letters of its id, or MODEL/VERSION[/REVISION].")],
    b: Annotated[str, typer.Argument(help="The other.")],
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Compare two references: how far apart each column is, and what each lets see."""
    standings = asyncio.run(_all(settings(config).config))
    one, other = (_named(standings, name) for name in (a, b))
    lines = compared(one, other)
    if json:
        document = {
            "a": line_of(one, standings[one.model, one.version]),
            "b": line_of(other, standings[other.model, other.version]),
            "same_grid": one.predictions.grid.id == other.predictions.grid.id,
            "columns": lines,
        }
        typer.echo(msgspec.json.encode(document).decode())
        return
    out.print(table_of_comparison(one, other, lines))


def _named(standings: dict[tuple[str, str], Standing], name: str) -> Profile:
    for (model, version), standing in standings.items():
        if name == f"{model}/{version}":
            return picked(_in_force_last(standing), None, None, name)
        if (
            name.startswith(f"{model}/{version}/")
            and (number := name.removeprefix(f"{model}/{version}/")).isdigit()
        ):
            return picked(standing.profiles, int(number), None, f"{model} {version}")
    return picked(tuple(p for s in standings.values() for p in s.profiles), None, name, "any model")


def show(profile: Profile, json: bool) -> None:
    """What a profile holds."""
    if json:
        typer.echo(orjson.dumps(line_of(profile, None)).decode())
        return
    out.print(table_of_profile(profile))
    since = "at once" if profile.judged_from == 0 else f"for events from {shown_time(profile.judged_from)} on"
    out.print(
        f"profile {profile.id}, revision {profile.revision}, {profile.predictions.n:,} predictions in "
        f"{profile.predictions.panes:,} panes of {profile.pane_ms / 1000:g} s, in force {since}"
    )
