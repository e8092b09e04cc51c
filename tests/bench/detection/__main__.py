"""`make bench-detection`: whether alarms can be believed, in figures.

Runs the monitors that production runs, on blocks of the fold, over streams on which nothing happens and over changes
of known size, beside ADWIN and Page-Hinkley on raw values, KS tests and PSI on windows, and the baselines that
always and never fire. docs/detection.md says what G1 to G5 are. FULL=1 makes a night of it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table as RichTable

from bench.detection import costs
from bench.detection.plan import MINUTES, NIGHT, Job, jobs
from bench.detection.report import Table, as_markdown, tables

GOALS = ("G1", "G2", "G3", "G4", "G5", "limits", "costs")

_jobs: list[Job] = []


def _work(at: int) -> tuple[int, Any]:
    return at, _jobs[at]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the night's size (also FULL=1)")
    parser.add_argument("--only", default=",".join(GOALS), help="which goals, for instance G2,G3")
    parser.add_argument("--out", type=Path, default=Path("build/bench-detection.json"))
    wanted = parser.parse_args()
    full = wanted.full or os.environ.get("FULL", "") not in ("", "0")
    goals = set(wanted.only.split(","))
    if unknown := goals - set(GOALS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: the goals are {', '.join(GOALS)}")
    console = Console(width=150)
    _jobs[:] = jobs(NIGHT if full else MINUTES, goals)
    started = time.monotonic()
    found = _run(console)
    made = tables(found)
    if "costs" in goals:
        made.append(Table("What judging costs, on one core", ("what", "figure"), list(costs.rows()), []))
    versions = {name: version(name) for name in ("numpy", "scipy", "river")}
    for table in made:
        _show(console, table)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"full": full, "seconds": round(time.monotonic() - started), "versions": versions, "tables": made}
    wanted.out.write_bytes(orjson.dumps(content, default=_plain, option=orjson.OPT_INDENT_2) + b"\n")
    wanted.out.with_suffix(".md").write_text(as_markdown(made))
    console.print(
        f"{content['seconds']} s; {versions}; written to {wanted.out} and {wanted.out.with_suffix('.md')}"
    )


def _run(console: Console) -> list[Any]:
    """In the order of the jobs, whichever ended first."""
    found: list[Any] = [None] * len(_jobs)
    with (
        multiprocessing.get_context("fork").Pool() as pool,
        Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console) as progress,
    ):
        task = progress.add_task("measuring", total=len(_jobs))
        for at, result in pool.imap_unordered(_work, range(len(_jobs)), chunksize=1):
            found[at] = result
            progress.advance(task)
    return found


def _show(console: Console, table: Table) -> None:
    shown = RichTable(*table.header, title=table.title, title_justify="left")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for why in table.missed:
        console.print(f"  missed: {why}")


def _plain(value: object) -> object:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
