"""`driftline backtest`: history through the stages, and what they would have said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from driftline.backtest.blockfile import BlockFile
from driftline.backtest.columns import read_columns
from driftline.backtest.opening import kind_of, size_of
from driftline.backtest.plot import plot_kind, write_plot
from driftline.backtest.reference import Reference, read_reference
from driftline.backtest.report import show_result, show_truth
from driftline.backtest.run import Advanced, Task, Watcher, backtest, rejudge
from driftline.backtest.series import Series
from driftline.backtest.truth import judge_alarms, read_changes
from driftline.cli.app import ConfigFile, err, out, settings
from driftline.collector import lean
from driftline.config import Config
from driftline.errors import Misconfigured
from driftline.outputs import write_whole
from driftline.wiring import decoder

EXAMPLES: Final = (
    "Examples: `driftline backtest history.parquet`, "
    "`driftline backtest 2024-*.csv.gz --columns map.yaml --reference train.parquet --plot alarms.html`, "
    "`driftline backtest events.jsonl.zst --truth changes.csv --json result.json`, "
    "`driftline backtest history.blocks --config stricter.yaml`"
)

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…",
        help="JSON lines, CSV (both also .gz, .zst) or Parquet, merged in order of event time; or one .blocks file.",
    ),
]
ColumnsFile = Annotated[
    Path | None,
    typer.Option(
        "--columns",
        metavar="MAP.yaml",
        help="Which column is what: time, model, version, id, prediction, score, outcome, outcome_time, features "
        "(all others, if left out), segments; constants: {model: …, version: …}.",
    ),
]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        metavar="FILE",
        help="What to compare with: a data file of the same columns, or a profile (.json). Without it the first "
        "events are the reference, and are not judged.",
    ),
]
ReferenceEvents = Annotated[
    int | None,
    typer.Option("--reference-events", min=500, help="How many first predictions make the reference."),
]


def backtest_files(
    files: Files,
    config: ConfigFile = None,
    columns: ColumnsFile = None,
    reference: ReferenceFile = None,
    reference_events: ReferenceEvents = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="CHANGES.csv", help="Known changes: time[,model,monitor,label]."),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="The result as JSON.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="OUT", help="Every monitor with its alarms, as .html or .png."),
    ] = None,
    blocks: Annotated[
        Path | None,
        typer.Option("--blocks", metavar="OUT.blocks", help="Keep the blocks, to judge them again in seconds."),
    ] = None,
    deadletters: Annotated[
        Path | None, typer.Option("--deadletters", metavar="OUT", help="Refused records as JSON lines, with why.")
    ] = None,
) -> None:
    """Replay history through the code that runs in production, and show what it would have said.

    Every record goes through the same decoding, join, fold, detectors and retraining policy, on a log and a store in
    memory: no broker is needed. A bad row is refused and counted, as it would be live.
    """
    loaded = configured(config, reference_events)
    changes = read_changes(truth) if truth is not None else []
    picture = plot_kind(plot) if plot is not None else None
    series = Series() if plot is not None else None
    watchers: Sequence[Watcher] = [series] if series is not None else []
    given = referred(reference, loaded, columns)
    with lean(), progress(files) as advanced:
        if [kind_of(path) for path in files] == ["blocks"]:
            refuse_for_blocks(blocks=blocks, deadletters=deadletters, columns=columns)
            result = rejudge(BlockFile(files[0]), loaded, given, watchers, advanced)
        else:
            task = Task(
                files=event_files(files),
                config=loaded,
                columns=read_columns(columns),
                columns_given=columns is not None,
                reference=given,
                deadletters=deadletters,
                blocks=blocks,
                watchers=watchers,
            )
            result = backtest(task, advanced)
    found = judge_alarms(result, changes) if changes else None
    show_result(out, result)
    if found is not None:
        show_truth(out, found)
    if json is not None:
        write_whole(json, result.to_json(found))
    if plot is not None and picture is not None and series is not None:
        write_plot(plot, picture, result, series, changes)


def configured(config: Path | None, reference_events: int | None) -> Config:
    overrides = {} if reference_events is None else {"judge.reference_events": reference_events}
    return settings(config, **overrides).config


def referred(path: Path | None, config: Config, columns: Path | None) -> Reference:
    if path is None:
        return Reference()
    mapping = config.ingest.mapping.compiled() if config.ingest.mapping else None
    return read_reference(path, read_columns(columns), mapping, decoder(config), columns_given=columns is not None)


def event_files(files: Sequence[Path]) -> Sequence[Path]:
    for path in files:
        if kind_of(path) == "blocks":
            raise Misconfigured(f"{path}: a file of blocks is judged alone; leave the other files out")
    return files


def refuse_for_blocks(**given: Path | None) -> None:
    for name, path in given.items():
        if path is not None:
            raise Misconfigured(f"--{name} says nothing about a file of blocks: it holds counts, no events")


@contextmanager
def progress(files: Sequence[Path]) -> Iterator[Advanced]:
    """A bar on standard error, if that is a terminal."""
    bar = Progress(
        TextColumn("{task.fields[count]:,} events"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    only_blocks = [kind_of(path) for path in files] == ["blocks"]
    total = None if only_blocks else sum(map(size_of, files))
    with bar:
        task = bar.add_task("", total=total, count=0)
        update: Callable[[int, int], None] = lambda read, count: bar.update(task, completed=read, count=count)  # noqa: E731
        yield update
