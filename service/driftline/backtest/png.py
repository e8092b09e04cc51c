"""The plot as a picture, for a page or a message. By matplotlib. Names in it are chosen by others, so none is read as
mathematics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

import numpy as np

from driftline.backtest.estimates import NAMES, Estimates
from driftline.backtest.panels import Panel
from driftline.backtest.result import Result

MOST: Final = 12
_INK, _LINE, _BAND, _ALARM, _TRUTH = "#22303c", "#1d6fa5", "#9fb8c8", "#d1495b", "#6a4c93"


def picture(result: Result, panels: Sequence[Panel], estimates: Sequence[Estimates] = ()) -> bytes:
    """A PNG of the accuracy of each model version, estimated and measured, then of the first monitors, those with
    alarms first: MOST in all, in two columns where there are many."""
    accuracies = [one for one in estimates if one.metric == "accuracy"][: MOST // 2]
    shown: list[Panel | Estimates] = [*accuracies, *panels[: MOST - len(accuracies)]]
    figure = _figure(shown)
    monitors = len(shown) - len(accuracies)
    left = f" (of {len(panels)} monitors, the first {monitors})" if len(panels) > monitors else ""
    alarms = len(result.alarms())
    figure.suptitle(f"{alarms} alarms in {result.days:,.0f} days{left}", fontsize=10, color=_INK)
    return _png(figure)


def estimates_picture(estimates: Sequence[Estimates]) -> bytes:
    """A PNG of the first MOST of them."""
    return _png(_figure(estimates[:MOST]))


def _png(figure: Any) -> bytes:
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _figure(shown: Sequence[Panel | Estimates]) -> Any:
    from matplotlib.figure import Figure

    columns = 1 if len(shown) <= 5 else 2
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(6.4 * columns, 1.75 * rows + 0.6), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for i, axis in enumerate(axes.T.flat):
        if i >= len(shown):
            axis.set_axis_off()
            continue
        one = shown[i]
        axis.tick_params(labelsize=7, colors=_INK)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        _draw(axis, one) if isinstance(one, Panel) else _draw_estimates(axis, one)
    return figure


def _draw_estimates(axis: Any, one: Estimates) -> None:
    from matplotlib.ticker import PercentFormatter

    when, (below, above) = [_moment(time) for time in one.times], one.band
    axis.set_title(
        f"{NAMES[one.metric]} of {one.model} {one.version}: estimated from scores (line, two errors), "
        "measured (dots)",
        fontsize=8,
        loc="left",
        color=_INK,
        parse_math=False,
    )
    axis.fill_between(when, below, above, color=_BAND, alpha=0.35, linewidth=0)
    axis.plot(when, one.values, color=_LINE, linewidth=0.9)
    for parted, colour in ((False, _INK), (True, _ALARM)):
        dots = [(time, r.measured[one.metric].value) for time, r in one.measured if r.parted(one.metric) == parted]
        axis.plot([_moment(t) for t, _ in dots], [v for _, v in dots], "o", color=colour, markersize=2.6)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw(axis: Any, panel: Panel) -> None:
    when = [_moment(time) for time in panel.times]
    axis.set_title(f"{panel.monitor}: {panel.what}", fontsize=8, loc="left", color=_INK, parse_math=False)
    if len(when):
        axis.axhspan(panel.low, panel.high, color=_BAND, alpha=0.35, linewidth=0)
        axis.axhline(panel.middle, color=_BAND, linewidth=0.8)
        axis.plot(when, panel.values, color=_LINE, linewidth=0.9)
        if np.isfinite(panel.values).any():
            low, high = np.nanmin(panel.values), np.nanmax(panel.values)
            axis.set_ylim(*_room(min(low, panel.low), max(high, panel.high)))
        if panel.reference_until > panel.times[0]:
            axis.axvspan(when[0], _moment(panel.reference_until), color=_BAND, alpha=0.2, linewidth=0)
    until = panel.times[-1] if len(panel.times) else max(alarm.time for alarm in panel.alarms)
    for alarm in panel.alarms:
        axis.axvspan(_moment(alarm.time), _moment(alarm.resolved or until), color=_ALARM, alpha=0.16, linewidth=0)
        axis.axvline(_moment(alarm.time), color=_ALARM, linewidth=1.0)
        if alarm.onset is not None:
            axis.axvline(_moment(alarm.onset), color=_ALARM, linewidth=0.9, linestyle=":")
    for change in panel.changes:
        axis.axvline(_moment(change.time), color=_TRUTH, linewidth=1.0, linestyle="--")
    if panel.share:
        from matplotlib.ticker import PercentFormatter

        axis.yaxis.set_major_formatter(PercentFormatter(1.0))


def _room(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low or abs(high) or 1.0)
    return low - room, high + room


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
