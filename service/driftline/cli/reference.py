"""`driftline reference`: the references that models are judged by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from driftline.cli.app import ConfigFile, out, printable, settings
from driftline.cli.connect import patiently, reading, writing
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.reference_build import Columns, build_profile, read_table
from driftline.reference_build import Table as Rows
from driftline.registry import ProfileRegistry, profile_record
from driftline.stats.profile import Profile, with_revision
from driftline.wiring import detection_settings

commands = typer.Typer(no_args_is_help=True, help="Build and list the references that models are judged by.")


async def pin(config: Config, table: Rows, model: str, version: str, columns: Columns) -> Profile:
    """Build the profile and put it in force, above any that is."""
    profile = build_profile(
        table,
        model=model,
        version=version,
        columns=columns,
        settings=detection_settings(config),
        created=SystemClock().now_ms(),
    )
    async with reading(config) as reader, writing(config) as writer:
        registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
        await patiently(lambda: registry.refresh(force=True))
        former = registry.profile(model, version)
        if former is not None:
            profile = with_revision(profile, former.revision + 1)
        record = profile_record(config.topics.profiles, profile)
        await patiently(lambda: writer.publish([record]))
    return profile


@commands.command(
    epilog="Example: `driftline reference build train.parquet --model churn --version 7 --outcome churned`"
)
def build(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines (.jsonl[.gz]): a row a prediction.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model's name, as its events have it.")],
    version: Annotated[str, typer.Option("--version", "-v", help="Its version, as its events have it.")],
    time: Annotated[str, typer.Option(help="Column of the time: RFC 3339, timestamp, or ms since 1970.")] = "time",
    id: Annotated[str, typer.Option(help="Column of the id.")] = "id",
    prediction: Annotated[str, typer.Option(help="Column of the prediction.")] = "prediction",
    score: Annotated[str, typer.Option(help="Column of the score.")] = "score",
    outcome: Annotated[str, typer.Option(help="Column of the outcome, empty where it is not known.")] = "outcome",
    outcome_time: Annotated[str, typer.Option(help="Column of when the outcome became known.")] = "outcome_time",
    features: Annotated[
        str, typer.Option(help="Columns that are features, separated by commas; all others, if left out.")
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Make a training or validation set the reference of a model version, in force at once.

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
    with out.status(f"reading {file.name}"):
        table = read_table(file)
    with out.status("fitting the reference"):
        profile = asyncio.run(pin(loaded, table, model, version, columns))
    show(profile)


def show(profile: Profile) -> None:
    """What a profile holds, for a person."""
    title = f"{printable(profile.model)} {printable(profile.version)}"
    table = Table("column", "kind", "values", "pages", title=title)
    for section in (profile.predictions, profile.pairs):
        if section is None:
            continue
        for column in section.monitored:
            table.add_row(printable(column.name), column.kind, f"{column.rows:,}", column.why_not or "yes")
    out.print(table)
    out.print(
        f"profile {profile.id}, revision {profile.revision}, {profile.predictions.n:,} predictions in "
        f"{profile.predictions.panes:,} panes of {profile.pane_ms / 1000:g} s"
    )
