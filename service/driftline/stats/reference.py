"""Learning a reference from rows.

A pure function of the rows, whatever their order: witnesses with expectation, variance of a unit's mean
sigma^2 (a/n + b), and eps, the smallest change that can be detected given the size of the reference itself.
60,000 rows of 20 numeric columns take under 5 s of one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.stats.calibration import Calibration, learn_calibration
from driftline.stats.coarse import coarsen_categories, coarsen_numbers, representatives
from driftline.stats.codes import CODES, MISSING, WRONG_TYPE
from driftline.stats.constant_rules import longest_run
from driftline.stats.duplicates import learn_duplicates
from driftline.stats.encode import encode_cells
from driftline.stats.fit import Timeline, fit
from driftline.stats.graded import COLUMN as GRADED
from driftline.stats.graded import PROBABILITIES, SCORE, graded_column
from driftline.stats.grid import Grid, GridColumn, learn_grid
from driftline.stats.joint import learn_joint, with_embedding
from driftline.stats.limit_rules import cuts_of
from driftline.stats.quality import (
    LABEL_DELAY,
    late_map,
    learn_freshness,
    learn_quality,
    quality_map,
    range_is_known,
    without_range,
)
from driftline.stats.questions import (
    Question,
    ask_categories,
    ask_error,
    ask_loss,
    ask_numbers,
    levels_of,
)
from driftline.stats.rows import Column, Rows
from driftline.stats.section import (
    NEARLY_ALL,
    UNIT_ROWS,
    ColumnReference,
    Counts,
    Floats,
    Section,
    Stream,
    unwatched,
)
from driftline.stats.selfcheck import self_check
from driftline.stats.settings import DetectionSettings
from driftline.stats.ties import tied_columns
from driftline.stats.traffic import learn_traffic
from driftline.stats.witness import MISSING_BIN, WIDTH
from driftline.stats.wording import number

__all__ = ["LABEL_DELAY", "ColumnReference", "Section", "learn_section", "settled_rows"]

TOO_SLOW: Final = "its range is not watched: the reference is worth too few independent values"
SHOWN_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def learn_section(
    stream: Stream,
    rows: Rows,
    pane_ms: int,
    settings: DetectionSettings,
    *,
    from_first_events: bool = False,
    live: bool = False,
    duplicates: Mapping[int, int] | None = None,
    scores: GridColumn | None = None,
) -> Section:
    """Learns the reference from rows in any order. With `from_first_events` the rows are the first a model ever
    sent, and pairs begin one p99 label delay in: the first pairs are the fast ones, and biased. `live`: the rows
    are all there were of a stream in their time, so that they know its traffic too. `duplicates`: those in
    that time, by time (ms). `scores`: the column of the scores that pairs were predicted with, whose edges their
    graded scores take (`graded`).

    Raises ValueError where no row is left: pairs whose labels take longer than the rows span, for instance."""
    delay = _label_delay(rows) if stream == PAIRS else None
    rows = settled_rows(rows) if stream == PAIRS and from_first_events else rows.sorted()
    if not rows.n:
        raise ValueError(f"no row to learn the {stream} reference from (p99 label delay: {delay} ms)")
    cuts = cuts_of(settings.limits, stream)
    if stream == PREDICTIONS:
        cuts[SCORE] = [*cuts.get(SCORE, ()), *PROBABILITIES]
    grid = learn_grid(rows, pane_ms, cuts, _graded(stream, rows, scores))
    codes = encode_cells(grid, rows)
    if stream == PREDICTIONS and settings.multivariate:
        grid = with_embedding(grid, codes)
    pane = rows.times // pane_ms
    ends = np.append(np.flatnonzero(np.diff(pane)) + 1, rows.n)
    bounds = _unit_bounds(np.zeros(rows.n, np.uint8), ends, UNIT_ROWS, UNIT_ROWS)
    pane_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    middle = pane[ends - 1] * pane_ms + pane_ms // 2
    time = Timeline(pane_of, middle, int(pane[-1] - pane[0] + 1) * pane_ms, pane_ms)
    columns = [
        _learn_column(stream, column, rows.columns[column.name], codes[:, i], ends, bounds, time, settings)
        for i, column in enumerate(grid.columns)
    ]
    units = _unit_bounds(np.zeros(rows.n, np.uint8), ends, settings.coalesce, settings.coalesce)
    columns = [
        _with_quality(stream, learnt, column, codes[:, i], rows.times, units, time, settings)
        for i, (learnt, column) in enumerate(zip(columns, grid.columns, strict=True))
    ]
    section = Section(
        stream=stream,
        grid=grid,
        n=rows.n,
        panes=len(ends),
        start=int(rows.times[0]),
        end=int(rows.times[-1]),
        columns=columns,
        label_delay_p99_ms=delay,
        traffic=learn_traffic(rows.times, pane_ms) if live else None,
        tied=tied_columns(grid.columns, codes),
        duplicates=(
            learn_duplicates(rows.times, duplicates or {}, pane_ms, settings.z_ref)
            if stream == PREDICTIONS
            else None
        ),
        calibration=_calibration(grid, codes, units, settings),
        joint=learn_joint(grid, codes, units, [column.why_not for column in columns], settings),
    )
    check = self_check(section, codes, time, settings)
    return msgspec.structs.replace(section, check=check)


def _calibration(
    grid: Grid, codes: NDArray[np.uint8], units: NDArray[np.intp], settings: DetectionSettings
) -> Calibration | None:
    place = grid.index.get(GRADED)
    return None if place is None else learn_calibration(grid.columns[place], codes[:, place], units, settings)


def _graded(stream: Stream, rows: Rows, scores: GridColumn | None) -> dict[str, GridColumn | None]:
    held = rows.columns.get(GRADED) if stream == PAIRS else None
    if held is None:
        return {}
    return {GRADED: graded_column(held.numbers, scores) if scores is not None else None}


def settled_rows(rows: Rows) -> Rows:
    """The pairs from one p99 label delay after the first of them, sorted; all where no delay is known."""
    rows = rows.sorted()
    delay = _label_delay(rows)
    if not rows.n or not delay:
        return rows
    return rows.take(np.flatnonzero(rows.times >= rows.times[0] + delay))


def _label_delay(rows: Rows) -> int | None:
    column = rows.columns.get(LABEL_DELAY)
    delays = np.empty(0) if column is None else column.numbers[~np.isnan(column.numbers)]
    return max(0, round(float(np.quantile(delays, 0.99)) * 1000.0)) if len(delays) else None


def _learn_column(
    stream: str,
    column: GridColumn,
    cells: Column,
    codes: NDArray[np.uint8],
    ends: NDArray[np.intp],
    row_bounds: NDArray[np.intp],
    time: Timeline,
    settings: DetectionSettings,
) -> ColumnReference:
    counts = np.bincount(codes, minlength=CODES)
    held = int(counts[:MISSING].sum())
    scores, mean, sd, quantiles = np.zeros(0), 0.0, 1.0, np.zeros(0)
    questions: list[Question] = []
    match column.kind:
        case "rate":
            mapping, bins = np.full(CODES, MISSING_BIN, np.uint8), 2
            mapping[:2] = (0, 1)
            questions = [ask_error(int(counts[1]), held, settings)]
        case "categorical":
            mapping, own = coarsen_categories(counts, len(column.categories))
            bins = len(own) + 2
            names = [column.categories[code] for code in own]
            coarse = np.bincount(mapping, counts, WIDTH).astype(np.int64)
            questions = ask_categories(coarse, names, settings)
        case "numeric":
            mapping, bins, cuts = coarsen_numbers(counts, column.codes, levels_of(column.name))
            has = codes < MISSING
            winsorise = column.name != "loss"
            values = cells.numbers[has]
            scores, mean, sd = _scores(values, codes[has], mapping, bins, column, winsorise)
            quantiles = np.quantile(values, SHOWN_QUANTILES) if held else quantiles
            shares = np.bincount(mapping, counts, WIDTH)[:bins] / max(held, 1)
            if column.name == "loss":
                questions = ask_loss(mean, sd if scores.any() else 0.0, settings)
            else:
                split = [(int(mapping[cut]), *_words(column, counts, cut)) for cut in cuts]
                questions = ask_numbers(column.name, shares, held, split, scores, settings)
    if column.name in (LABEL_DELAY, GRADED) or not held:
        questions = []
    most_rows = math.ceil(2 * settings.coalesce * len(codes) / max(held, 1))
    bounds = _unit_bounds(codes, ends, settings.coalesce, most_rows)
    units = len(bounds) - 1
    fitted = fit(questions, mapping[codes], bounds, scores, time, settings)
    too_few = ""
    if questions and units < settings.min_reference_panes:
        too_few = (
            f"the reference holds {units} panes of {settings.coalesce} values of {column.name}; "
            f"{settings.min_reference_panes} are needed before it may page"
        )
    return ColumnReference(
        name=column.name,
        kind=column.kind,
        counts=counts.astype("<i8").tobytes(),
        coarse=mapping.tobytes(),
        bins=bins,
        rows=len(codes),
        units=units,
        most_rows=most_rows,
        longest_gap=_longest_gap(codes, row_bounds),
        witnesses=fitted.witnesses,
        scores=scores.astype(np.float32).tolist(),
        mean=mean,
        sd=sd,
        quantiles=quantiles.tolist(),
        season=fitted.season,
        note=fitted.note,
        too_few=too_few,
        why_not=too_few or fitted.why_not,
    )


def _with_quality(
    stream: str,
    learnt: ColumnReference,
    column: GridColumn,
    codes: NDArray[np.uint8],
    times: NDArray[np.int64],
    units: NDArray[np.intp],
    time: Timeline,
    settings: DetectionSettings,
) -> ColumnReference:
    if unwatched(column.name):
        return learnt
    if stream == PAIRS:
        if column.name != LABEL_DELAY:
            return learnt
        quality, (rows, ms) = learn_freshness(codes, units, time, settings), (0, 0)
        mapping = late_map(learnt.fine_counts)
    else:
        quality = learn_quality(column.kind, codes, len(column.categories), units, time, settings)
        if not range_is_known(learnt):
            quality = without_range(quality)
            note = f"{learnt.note}; " if learnt.note else ""
            learnt = msgspec.structs.replace(learnt, note=f"{note}{TOO_SLOW}")
        rows, ms = longest_run(codes, times)
        mapping = quality_map(column.kind, learnt.fine_counts)
    why_not, held = learnt.why_not, len(units) - 1
    if quality and not why_not and held < settings.min_reference_panes:
        why_not = f"the reference holds {held} units of rows; {settings.min_reference_panes} are needed"
    return msgspec.structs.replace(
        learnt,
        quality=quality,
        quality_coarse=mapping.tobytes() if quality else b"",
        quality_units=held,
        longest_run=rows,
        longest_run_ms=ms,
        why_not=why_not,
    )


def _scores(
    values: Floats, codes: NDArray[np.uint8], mapping: NDArray[np.uint8], bins: int, column: GridColumn, clip: bool
) -> tuple[Floats, float, float]:
    """(scores, mean, sd): representatives of the coarse bins standardised by their own mean and SD; all 0 in a
    column that never varies. Computed in units of the largest value, so that no square overflows."""
    unit = float(np.abs(values).max(initial=0.0)) or 1.0
    values = values / unit
    low, high = np.quantile(values, (0.005, 0.995) if clip else (0.0, 1.0)) if len(values) else (0.0, 0.0)
    edges = column.edge_values[np.flatnonzero(np.diff(mapping[: column.codes]))] / unit
    bin_of = mapping[codes].astype(np.intp)
    centres = representatives(values, bin_of, bins, edges, float(low), float(high))
    shares = np.bincount(bin_of, minlength=bins) / max(len(values), 1)
    mean = float(shares @ centres)
    sd = math.sqrt(float(shares @ np.square(centres - mean)))
    if sd <= 1e-12:
        return np.zeros(bins), mean * unit, 0.0
    return (centres - mean) / sd, mean * unit, sd * unit


def _words(column: GridColumn, counts: Counts, cut: int) -> tuple[str, str]:
    """How people are told of the values under and over the fine edge before bin `cut`."""
    edges = column.edge_values
    edge = float(edges[cut - 1])
    share = float(counts[:cut].sum() / max(int(counts[: column.codes].sum()), 1))
    level = min(levels_of(column.name), key=lambda x: abs(x - share))
    just_above = cut >= 2 and edge == np.nextafter(edges[cut - 2], np.inf)
    atom = cut < len(edges) and edges[cut] == np.nextafter(edge, np.inf)
    shown = number(float(edges[cut - 2]) if just_above else edge)
    name = f"the old P{level * 100:g} ({shown})" if abs(level - share) <= 0.01 else shown
    if just_above:
        return f"at or below {name}", f"above {name}"
    return f"below {name}", f"at or above {name}" if atom else f"above {name}"


def _unit_bounds(
    codes: NDArray[np.uint8], ends: NDArray[np.intp], coalesce: int, most_rows: int
) -> NDArray[np.intp]:
    """Row bounds of the units: consecutive panes until they hold `coalesce` values, or `most_rows` rows. What is
    left over at the end is in no unit. `ends`: one past the last row of each pane."""
    values = np.cumsum(codes < MISSING)[ends - 1]
    bounds, last = [0], -1
    while True:
        had_values, had_rows = (int(values[last]), int(ends[last])) if last >= 0 else (0, 0)
        last = int(min(np.searchsorted(values, had_values + coalesce), np.searchsorted(ends, had_rows + most_rows)))
        if last >= len(ends):
            return np.asarray(bounds, np.intp)
        bounds.append(int(ends[last]))


def _longest_gap(codes: NDArray[np.uint8], bounds: NDArray[np.intp]) -> int:
    """Most consecutive units of which nearly all rows are missing, or nearly all of the wrong type."""
    longest = 0
    for status in (MISSING, WRONG_TYPE):
        until = np.concatenate(([0], np.cumsum(codes == status)))[bounds]
        gaps = np.diff(until) >= NEARLY_ALL * np.diff(bounds)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], gaps.astype(np.int8), [0]))))
        longest = max(longest, int((edges[1::2] - edges[::2]).max(initial=0)))
    return longest
