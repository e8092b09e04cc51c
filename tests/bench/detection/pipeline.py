"""Our detectors through the code that runs in production: rows are binned into blocks, blocks merged into panes,
panes judged by all monitors of a model. One event a second of event time at the reference's traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.stats.block import PaneCounts, add_block, rows_to_blocks
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Stream
from driftline.stats.settings import DetectionSettings

Floats = NDArray[np.float64]

PANE_EVENTS: Final = 100
PANE_MS: Final = 100_000
DAY_EVENTS: Final = 86_400
REFERENCE: Final = 50_000
CHUNK_PANES: Final = 500


@dataclass(frozen=True, slots=True)
class Alarm:
    """A monitor's alarm, at the end of the pane that raised it: how many events of this run had come by then."""

    monitor: str
    events: int


def arl0_days(events: float) -> float:
    """ARL0 in events as days at the reference's traffic."""
    return events / DAY_EVENTS


class Subject:
    """A model with one reference, judged as often as is liked. `kind`: numeric, category or error (one column of
    the stream of pairs)."""

    def __init__(self, reference: Floats, settings: DetectionSettings, kind: str = "numeric") -> None:
        self.kind = kind
        self.settings = settings
        self.stream: Stream = PAIRS if kind == "error" else PREDICTIONS
        times = np.arange(len(reference), dtype=np.int64) * (PANE_MS // PANE_EVENTS)
        rows = self._rows(reference, times)
        section = learn_section(self.stream, rows, PANE_MS, settings)
        predictions = section
        if kind == "error":
            plain = Rows(times, rows.ids, {"features.x": Column(np.zeros(len(times)))})
            predictions = learn_section(PREDICTIONS, plain, PANE_MS, settings)
        self.profile: Profile = make_profile(
            model="m",
            version="1",
            source="training",
            created=0,
            judged_from=0,
            predictions=predictions,
            pairs=section if kind == "error" else None,
        )
        self.section = section

    def run(self, panes: Iterator[Floats]) -> Iterator[Alarm]:
        """Judge runs of whole panes [panes, events a pane, columns], as many as there are. A pane lasts `PANE_MS`
        however many events it holds."""
        monitors = ModelMonitors(self.profile, self.settings)
        done = start = 0
        for values in panes:
            each = values.shape[1]
            step = np.arange(each, dtype=np.int64) * PANE_MS // each
            begins = start + np.arange(len(values), dtype=np.int64) * PANE_MS
            rows = self._rows(values.reshape(-1, values.shape[2]), (begins[:, None] + step).ravel())
            for block in rows_to_blocks(self.section.grid, rows, "m", "1", self.stream):
                counts = PaneCounts.empty(len(self.section.grid.columns), self.section.grid.joint)
                add_block(counts, block, self.section.grid)
                done += counts.n
                for change in monitors.update(self.stream, block.pane, counts):
                    if change.state == "alarm":
                        yield Alarm(change.monitor, done)
            start += len(values) * PANE_MS

    def _rows(self, values: Floats, times: NDArray[np.int64]) -> Rows:
        columns: dict[str, Column] = {}
        for i in range(values.shape[1]):
            held = np.ascontiguousarray(values[:, i])
            match self.kind:
                case "error":
                    columns["error"] = Column(held)
                case "category":
                    names = [f"c{code:.0f}" for code in held.tolist()]
                    columns[f"features.x{i}"] = Column(np.full(len(held), np.nan), list(names))
                case _:
                    columns[f"features.x{i}"] = Column(held)
        return Rows(times, np.arange(len(times), dtype=np.uint64), columns)
