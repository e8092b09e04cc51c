"""The plot as a picture, for a page or a message. By matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

import numpy as np

from driftline.backtest.panels import Panel
from driftline.backtest.result import Result

MOST: Final = 12
_INK, _LINE, _BAND, _ALARM, _TRUTH = "#22303c", "#1d6fa5", "#9fb8c8", "#d1495b", "#6a4c93"


def picture(result: Result, panels: Sequence[Panel]) -> bytes:
    """A PNG of the first MOST monitors, those with alarms first; two columns where there are many."""
    from matplotlib.figure import Figure

    shown = panels[:MOST]
    columns = 1 if len(shown) <= 5 else 2
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(6.4 * columns, 1.75 * rows + 0.6), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for i, axis in enumerate(axes.T.flat):
        if i < len(shown):
            _draw(axis, shown[i])
        else:
            axis.set_axis_off()
    left = f" (of {len(panels)} monitors, the first {MOST})" if len(panels) > MOST else ""
    alarms = len(result.alarms())
    figure.suptitle(f"{alarms} alarms in {result.days:,.0f} days{left}", fontsize=10, color=_INK)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _draw(axis: Any, panel: Panel) -> None:
    when = [_moment(time) for time in panel.times]
    axis.set_title(f"{panel.monitor}: {panel.what}", fontsize=8, loc="left", color=_INK)
    axis.tick_params(labelsize=7, colors=_INK)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
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
