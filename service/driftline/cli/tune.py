"""`driftline tune`: settings for as many alarms as you can look after, from history."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from driftline.backtest.blockfile import BlockFile
from driftline.backtest.columns import read_columns
from driftline.backtest.opening import kind_of
from driftline.backtest.run import Task, backtest
from driftline.backtest.tune import Candidate, judge_all, proposed, settings_around
from driftline.cli.app import ConfigFile, err, note, out
from driftline.cli.backtest import (
    ColumnsFile,
    Files,
    ReferenceEvents,
    ReferenceFile,
    configured,
    event_files,
    progress,
    referred,
)
from driftline.collector import lean

EXAMPLES: Final = (
    "Examples: `driftline tune history.parquet --alarms-per-month 2`, "
    "`driftline tune history.blocks --alarms-per-month 1 --delay 1000`"
)


def tune(
    files: Files,
    wanted: Annotated[
        float, typer.Option("--alarms-per-month", metavar="X", min=0, help="At most so many alarms in 30 days.")
    ],
    delay: Annotated[
        int | None,
        typer.Option("--delay", metavar="EVENTS", min=1, help="See a shift of 0.2 SD within so many events."),
    ] = None,
    config: ConfigFile = None,
    columns: ColumnsFile = None,
    reference: ReferenceFile = None,
    reference_events: ReferenceEvents = None,
) -> None:
    """Judge history by many settings, and propose the most sensitive that would have raised few enough alarms.

    Events are folded into blocks once; every setting then judges the same blocks. An alarm of history may have been
    right: look at them with `driftline backtest` before you make detection blind to them.
    """
    loaded = configured(config, reference_events)
    given = referred(reference, loaded, columns)
    with lean(), tempfile.TemporaryDirectory(prefix="driftline-tune-") as directory:
        path = files[0]
        if [kind_of(file) for file in files] != ["blocks"]:
            path = Path(directory) / "history.blocks"
            with progress(files) as advanced:
                task = Task(
                    files=event_files(files),
                    config=loaded,
                    columns=read_columns(columns),
                    columns_given=columns is not None,
                    reference=given,
                    blocks=path,
                )
                for said in backtest(task, advanced).notes:
                    note(said)
        file, settings = BlockFile(path), settings_around(loaded)
        if file.profiles and not file.head.complete and reference is None:
            note(
                "the file does not hold what its references were learnt from: min_effect_sd and min_rate_effect "
                "stay as they were built, only arl0_days makes a difference. Give --reference FILE to change all"
            )
        with _counting(len(settings)) as counted:
            candidates = judge_all(file, loaded, given, settings, counted)
    best = proposed(candidates, wanted, delay)
    if loaded.detection.fleet_models is not None:
        note(f"arl0_days is that of all {loaded.detection.fleet_models:,} model versions (detection.fleet_models)")
    out.print(_table(candidates, best))
    if best is None:
        also = f" and see 0.2 SD within {delay:,} events" if delay is not None else ""
        out.print(f"none of these would have raised at most {wanted:g} alarms in 30 days{also}", highlight=False)
        raise typer.Exit(1)
    out.print("paste into the configuration:", highlight=False)
    typer.echo(best.setting.yaml())


def _table(candidates: Sequence[Candidate], best: Candidate | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in (
        *("min_effect_sd", "min_rate_effect", "arl0_days", "alarms", "in 30 days", "monitors"),
        *("0.2 SD after (events)", ""),
    ):
        table.add_column(name, justify="right" if name else "left")
    for one in candidates:
        setting = one.setting
        seen = "never" if one.delay is None else f"{one.delay:,}"
        table.add_row(
            *(f"{setting.min_effect_sd:g}", f"{setting.min_rate_effect:g}", f"{setting.arl0_days:g}"),
            *(f"{one.alarms:,}", f"{one.per_month:.2f}", f"{one.monitors_in_alarm:,}", seen),
            "<- proposed" if one is best else "",
            style="bold" if one is best else None,
        )
    return table


@contextmanager
def _counting(total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("judging by {task.completed} of {task.total} settings"), BarColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
