"""`driftline demo`: a year of flights, real processes, three kills, a retraining, and an audit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Annotated

import typer

from driftline.cli.app import note, out
from driftline.clock import SystemClock
from driftline.errors import Misconfigured
from driftline.outputs import write_whole

EXAMPLES = "Examples: `driftline demo`, `driftline demo --report demo.json`, `driftline demo --serve`"


def demo(
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.json", help="Write what was found to a file.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep broker, store and stages running afterwards, until Ctrl-C.")
    ] = False,
    speed: Annotated[int, typer.Option(min=100, help="Events published a second.")] = 10_000,
) -> None:
    """Watch a model of flight delays through 2013: 500,000 events, three SIGKILLs, one retraining.

    Starts a broker and a store of its own, counts every event, and says whether retraining helped. Exit code 0
    only if all adds up and a retraining was deployed, 1 if not, 2 if it cannot run.
    """
    if report is not None and not report.parent.is_dir():
        raise Misconfigured(f"--report: there is no directory {report.parent}")
    logging.getLogger().addHandler(logging.NullHandler())
    if not asyncio.run(_demo(report, serve, speed)):
        raise typer.Exit(1)


async def _demo(file: Path | None, serve: bool, speed: int) -> bool:
    # Only here: the other commands need not wait for it, nor have its packages.
    from driftline.demo.run import Demo, check_extras
    from driftline.demo.screen import Screen, show_report
    from driftline.demo.surroundings import Surroundings

    check_extras()
    clock = SystemClock()
    async with Surroundings(clock) as around:
        with Screen(out) as screen:
            demo = Demo(around, screen, clock, speed)
            script = await demo.prepare()
            verdict = await demo.audit(script, await demo.play(script))
        show_report(out, verdict.report, verdict.checks)
        if file is not None:
            await asyncio.to_thread(write_whole, file, verdict.report.to_json())
        if serve:
            around.start_stages()
            note(f"broker at {around.servers.kafka_bootstrap}, store at {around.servers.redis_url}, until Ctrl-C")
            note(f"try: driftline status --config {around.settings_file}")
            with contextlib.suppress(asyncio.CancelledError):
                await around.watch_stages()
    return verdict.report.passed
