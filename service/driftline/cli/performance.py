"""`driftline performance`: how well a model is expected to do, before outcomes are known, and how well it did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from driftline.backtest.estimates import NAMES, estimates_of
from driftline.backtest.plot import plot_kind, write_estimates
from driftline.cli.app import ConfigFile, Json, note, out, settings
from driftline.cli.connect import patiently, reading
from driftline.config import Config
from driftline.contracts.times import rfc3339
from driftline.errors import Misconfigured
from driftline.judge.model import ModelState
from driftline.judge.periods import PERIODS, Period, fitting, readings
from driftline.judged import Judged
from driftline.stats.confusion import CELLS, METRICS, Metric
from driftline.stats.performance import Figures, Reading
from driftline.terminal import printable
from driftline.wiring import detection_settings, redis_store

EXAMPLES: Final = (
    "Examples: `driftline performance churn`, `driftline performance churn --metric recall --metric auc --by week`, "
    "`driftline performance churn --plot churn.html`"
)


def performance(
    model: Annotated[str, typer.Argument(help="The model's name, as its events have it.")],
    version: Annotated[str | None, typer.Option("--version", "-v", help="One version; all, if left out.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help=f"Again for several: {', '.join(METRICS)}.")
    ] = None,
    by: Annotated[str, typer.Option(help="day, week or month; auto: the shortest of 31 rows or fewer.")] = "auto",
    json: Json = False,
    plot: Annotated[
        Path | None, typer.Option(help="Write every metric over time into this file, .html or .png.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show performance estimated from scores alone, and measured as outcomes become known.

    The reference says how often each score came true. With it, the scores of today say what accuracy, precision,
    recall, F1 and AUC to expect, weeks before the outcomes. When they come, what they show is compared with what was
    expected of their very scores: a reading marked with * is two standard errors away or more, so equal scores no
    longer mean equal outcomes. The last 92 days are known.
    """
    metrics = [_metric(name) for name in metric or ["accuracy"]]
    wanted = _period(by)
    kind = plot_kind(plot) if plot is not None else None
    found = asyncio.run(_look(settings(config).config, model))
    chosen = [state for state in found if version in (None, state.version)]
    if not chosen:
        known = ", ".join(sorted(state.version for state in found))
        why = f"its versions are {known}" if known else "`driftline status` lists those that are"
        raise Misconfigured(f"no version of {model}{f' named {version}' if version else ''} is watched: {why}")
    by_version: dict[tuple[str, str], Sequence[Reading]] = {}
    for state in chosen:
        period = wanted or fitting(state.scorecard)
        read = by_version[state.key] = readings(state.scorecard, period)
        if json:
            typer.echo(orjson.dumps(_told(state, period, read)).decode())
            continue
        if not read:
            note(f"{state.model} {state.version}: {_why_nothing(state)}")
        for one in metrics if read else ():
            out.print(_table(state, one, period, read))
    if not json and any(by_version.values()):
        out.print("±: two standard errors. *: further than that from what was expected of the same scores.")
    if plot is not None and kind is not None:
        write_estimates(plot, kind, f"Performance of {model}", estimates_of(by_version))


async def _look(config: Config, model: str) -> list[ModelState]:
    store = redis_store(config)
    try:
        async with reading(config) as reader:
            partitions = len(await patiently(lambda: reader.bounds(config.topics.blocks)))
            judged = Judged(store, partitions, detection_settings(config))
            return await patiently(lambda: judged.versions(model))
    finally:
        await store.close()


def _metric(name: str) -> Metric:
    for metric in METRICS:
        if name.lower() == metric:
            return metric
    raise Misconfigured(f"there is no metric {name[:40]!r}; known are {', '.join(METRICS)}")


def _period(name: str) -> Period | None:
    """None for `auto`."""
    for period in PERIODS:
        if name == period:
            return period
    if name == "auto":
        return None
    raise Misconfigured(f"--by {name[:40]}: give auto, {', '.join(PERIODS)}")


def _why_nothing(state: ModelState) -> str:
    """Why nothing is estimated, and what would change it."""
    profile = state.profile
    if profile is None:
        return "nothing is estimated before it has a reference"
    if profile.predictions.scores is None:
        return "nothing is estimated: its predictions bring no `score`, the probability of the positive class"
    if profile.pairs is None:
        return "nothing is estimated before outcomes enough are known for a reference of its errors"
    if profile.scores is None:
        return (
            "nothing is estimated: the pairs of its reference are no yes or no (detection.positive_class names the "
            "outcome that counts as positive), their scores are not within 0 and 1, or all alike, or there are fewer "
            "than 100"
        )
    return "nothing has been judged since its reference"


def _table(state: ModelState, metric: Metric, period: Period, read: Sequence[Reading]) -> Table:
    title = f"{printable(state.model)} {printable(state.version)}: {NAMES[metric]} by {period}"
    table = Table("from", title=title)
    for heading in ("predictions", "estimated", "outcomes", "measured", "expected of these"):
        table.add_column(heading, justify="right")
    for one in read:
        mark = " *" if one.parted(metric) else "  " if metric in one.measured else ""
        table.add_row(
            f"{datetime.fromtimestamp(one.start / 1000, UTC):%Y-%m-%d}",
            f"{one.predictions:,}",
            _shown(one.estimated, metric),
            f"{one.pairs:,}",
            _shown(one.measured, metric) + mark,
            _shown(one.hoped, metric, known=True),
        )
    return table


def _shown(figures: Figures, metric: Metric, *, known: bool = False) -> str:
    figure = figures.get(metric)
    if figure is None:
        return "-"
    error = figure.known if known else figure.error
    return f"{100.0 * figure.value:.1f} % ± {200.0 * error:.1f}"


def _told(state: ModelState, period: Period, read: Sequence[Reading]) -> dict[str, Any]:
    return {
        "model": state.model,
        "version": state.version,
        "by": period,
        "why_nothing": "" if read else _why_nothing(state),
        "periods": [
            {
                "from": rfc3339(one.start),
                "to": rfc3339(one.end),
                "predictions": one.predictions,
                "outcomes": one.pairs,
                "estimated": _figures(one.estimated),
                "measured": _figures(one.measured),
                "expected_of_measured": _figures(one.hoped),
                "confusion_expected": dict(zip(CELLS, one.table.round(2).tolist(), strict=True)),
                "confusion_measured": dict(zip(CELLS, one.counted.tolist(), strict=True)),
                "parted": [metric for metric in METRICS if one.parted(metric)],
            }
            for one in read
        ],
    }


def _figures(figures: Figures) -> dict[str, dict[str, float]]:
    """Standard errors: `known` for what the reference does not know, `chance` for what so many outcomes do."""
    return {
        metric: {"value": round(one.value, 6), "known": round(one.known, 6), "chance": round(one.chance, 6)}
        for metric, one in figures.items()
    }
