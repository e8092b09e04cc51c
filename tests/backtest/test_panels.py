"""What a plot shows of a monitor is the figure that raised its alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backtest.making import T0, X_MOVES, rows, run, write_jsonl
from driftline.backtest.panels import panels_of
from driftline.backtest.series import Series


def test_the_panel_of_a_category_whose_name_ends_as_another(tmp_path: Path) -> None:
    """Category a"b grows at the cost of c; b, the most frequent, stays.

    Mutation: in `_witness`, `effect.witness.endswith(witness.label)`."""
    made, luck = rows(), np.random.default_rng(11).random(len(rows()))
    for row, u in zip(made, luck.tolist(), strict=True):
        row["colour"] = "b" if u < 0.5 else 'a"b' if u < (0.9 if row["time"] >= X_MOVES else 0.7) else "c"
    series = Series()
    result = run(write_jsonl(tmp_path / "e.jsonl", made), watchers=[series])
    monitor = "features.colour:distribution"
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == monitor)
    assert alarm.effect is not None
    (panel,) = (panel for panel in panels_of(result, series, []) if panel.monitor == monitor)
    assert panel.what == alarm.effect.witness == 'share of "a"b"'
    moved = panel.times >= X_MOVES
    before, after = float(np.nanmean(panel.values[~moved])), float(np.nanmean(panel.values[moved]))
    assert abs(after - before) > 0.15 and panel.low < before < panel.high
    assert float(panel.times[0]) >= T0
