"""What a reference is: the frozen content that every monitor of one stream compares the present with."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.calibration import Calibration
from driftline.stats.cbe import WitnessTable
from driftline.stats.duplicates import MONITOR as DUPLICATES
from driftline.stats.duplicates import DuplicateReference
from driftline.stats.graded import COLUMN, SCORE
from driftline.stats.grid import Grid, GridColumn, Kind
from driftline.stats.joint import MONITOR, JointReference
from driftline.stats.quality import quality_of
from driftline.stats.season import Season
from driftline.stats.segments import PREFIX
from driftline.stats.traffic import Traffic
from driftline.stats.witness import (
    DOWN,
    EFFECT_PRIOR,
    MISSING_BIN,
    SIGNS,
    UP,
    WIDTH,
    Law,
    Witness,
    bernoulli_evidence,
    bernoulli_recovery,
    tail_variance,
    tilt_evidence,
    tilt_recovery,
    witness_values,
)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Index = NDArray[np.intp]
Stream = Literal["predictions", "pairs"]
Aspect = Literal["values", "quality", "freshness"]

_NOWHERE: Final = np.zeros(0, np.intp)
UNIT_ROWS: Final = 30
"""Schema rules speak on units of so many rows."""
NEARLY_ALL: Final = 0.99
SILENT: Final = frozenset({"false_negative", "false_positive", "false_discovery", COLUMN})


def unwatched(column: str) -> bool:
    """Whether a column is there for hard limits and for performance: as a monitor it would say once more what the error
    or the prediction says, at a price in the budget of alarms. Its witnesses tell limits their variance."""
    return column in SILENT or column.startswith(PREFIX)


class ColumnReference(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One column. `counts` int64 LE over its 256 codes, `coarse` uint8: the coarse bin of each code, `bins` the
    number of value bins. Numeric: `scores`, the winsorised representatives of the bins in `sd` around `mean`,
    and `quantiles` at .05 .25 .5 .75 .95. `rows` and `units` (coalesced panes) make the reference; `most_rows`
    is how many rows a unit takes at most, however few of them hold a value. `longest_gap`: most units of 30 rows in
    a row of which nearly all (99 %) hold no value. `season`: what the hour explains, and is taken out; `note` says
    what was found of seasons. `too_few` says why nothing of the column pages, `why_not` why its values do not; they are
    empty where it does. `quality`: the witnesses of its data quality; another `aspect` than values: this is their
    monitor (`quality_of`), over the bins `quality_coarse` in `quality_units` units. `longest_run`: most rows in a row
    that hold one code, and how long they took."""

    name: str
    kind: Kind
    counts: bytes
    coarse: bytes
    bins: int
    rows: int
    units: int
    most_rows: int
    longest_gap: int
    witnesses: list[Witness]
    scores: list[float] = []
    mean: float = 0.0
    sd: float = 1.0
    quantiles: list[float] = []
    season: Season | None = None
    note: str = ""
    too_few: str = ""
    why_not: str = ""
    quality: list[Witness] = []
    quality_coarse: bytes = b""
    quality_units: int = 0
    longest_run: int = 0
    longest_run_ms: int = 0
    aspect: Aspect = "values"

    @property
    def monitor(self) -> str:
        if self.aspect == "freshness":
            return "pairs:freshness"
        if self.aspect == "quality":
            return f"{self.name}:quality"
        return f"{self.name}:rate" if self.kind == "rate" else f"{self.name}:distribution"

    @cached_property
    def common(self) -> float:
        """The largest part of the variance of an event that all of a pane may have in common."""
        return max((max(w.b, w.b_within) for w in self.witnesses), default=0.0)

    @cached_property
    def coarse_map(self) -> NDArray[np.intp]:
        return np.frombuffer(self.coarse, np.uint8).astype(np.intp)

    @cached_property
    def fine_counts(self) -> Counts:
        return np.frombuffer(self.counts, "<i8").astype(np.int64)

    @cached_property
    def coarse_counts(self) -> Counts:
        return np.bincount(self.coarse_map, self.fine_counts, WIDTH).astype(np.int64)

    @cached_property
    def shares(self) -> Floats:
        """Reference shares of the coarse bins among values: float64 [WIDTH], 0 for the missing."""
        counts = self.coarse_counts.astype(np.float64)
        counts[MISSING_BIN] = 0.0
        return np.asarray(counts / max(float(counts.sum()), 1.0))

    def values(self, witness: Witness) -> Floats:
        return witness_values(witness.form, witness.bin, np.asarray(self.scores))


class SelfCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The reference through the detector itself, `panes` of it drawn in blocks of `block`: `length` days or events
    (`unit`) with one false alarm allowed in `arl0` gave `alarms`."""

    unit: Literal["days", "events"]
    arl0: float
    length: float
    alarms: int
    panes: int
    block: int

    @property
    def ratio(self) -> float:
        """Realised over requested ARL0; where nothing alarmed, what it is at least."""
        return self.length / (self.arl0 * max(self.alarms, 1))


class Section(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """The reference of one stream: `n` rows in `panes` non-empty panes, events from `start` to `end` (ms). `check`:
    None where nothing pages. `traffic`: None where the rows are no live traffic. `tied`: pairs of columns that go
    together in the reference, by name. `joint`: what columns do together; None where that is not watched.
    `calibration`: what scores say of outcomes; None where pairs bring none."""

    stream: Stream
    grid: Grid
    n: int
    panes: int
    start: int
    end: int
    columns: list[ColumnReference]
    label_delay_p99_ms: int | None = None
    check: SelfCheck | None = None
    traffic: Traffic | None = None
    tied: list[tuple[str, str]] = []
    joint: JointReference | None = None
    duplicates: DuplicateReference | None = None
    calibration: Calibration | None = None

    def grid_column(self, name: str) -> GridColumn | None:
        """None where the grid has none of that name."""
        place = self.grid.index.get(name)
        return None if place is None else self.grid.columns[place]

    @property
    def scores(self) -> GridColumn | None:
        return self.grid_column(SCORE)

    @property
    def monitored(self) -> list[ColumnReference]:
        """First those of values, then those of quality."""
        values = [column for column in self.columns if column.witnesses and not unwatched(column.name)]
        return [*values, *(quality_of(column) for column in self.columns if column.quality)]

    @property
    def paging(self) -> list[tuple[str, str]]:
        """(name, why it never pages) of all that share the budget of alarms: `monitored`, and what columns do
        together."""
        found = [(column.monitor, column.why_not) for column in self.monitored]
        if self.duplicates is not None:
            found.append((DUPLICATES, self.why_not))
        return found if self.joint is None else [*found, (MONITOR, self.joint.why_not)]

    @property
    def pageable(self) -> bool:
        return any(not column.why_not for column in self.monitored)

    @property
    def why_not(self) -> str:
        """Why nothing here ever pages; empty where something does."""
        if self.pageable:
            return ""
        return next((c.why_not for c in self.columns if c.why_not), "no column that could be monitored")

    @cached_property
    def _coarse(self) -> tuple[Index, Index]:
        """Of the columns of `monitored`: their places in the grid, and of each of their codes where it is counted."""
        columns = self.monitored
        maps = [column.coarse_map + j * WIDTH for j, column in enumerate(columns)]
        return np.array([self.grid.index[c.name] for c in columns], np.intp), np.concatenate([*maps, _NOWHERE])

    def coarsen(self, counts: Counts) -> Counts:
        """Fine counts of a pane [grid columns, 256] to coarse ones of `monitored`: int64 [monitored columns, WIDTH]."""
        rows, place = self._coarse
        sums = np.bincount(place, counts[rows].ravel(), len(rows) * WIDTH)  # exact below 2^53
        return sums.astype(np.int64).reshape(-1, WIDTH)

    @cached_property
    def fingerprint(self) -> bytes:
        """16 bytes of BLAKE2b over the content: state of detectors belongs to one content."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=16).digest()

    @cached_property
    def table(self) -> WitnessTable:
        """The witnesses of `monitored`, in that order."""
        columns = self.monitored
        monitor = [j for j, column in enumerate(columns) for _ in column.witnesses]
        pairs = [(column, witness) for column in columns for witness in column.witnesses]
        common = [column.common for column, _ in pairs]
        laws = [(column.values(witness), column.shares) for column, witness in pairs]
        return _witness_table(monitor, common, [(w, law, law) for (_, w), law in zip(pairs, laws, strict=True)])

    @cached_property
    def joint_table(self) -> WitnessTable:
        """The witnesses of `joint`."""
        if self.joint is None:
            return _witness_table([], [], [])
        laws = self.joint.by_direction()
        witnesses = [(w, *both) for w, both in zip(self.joint.witnesses, laws, strict=True)]
        of_column = {column.name: column.common for column in self.columns}
        common = [
            max(witness.b, witness.b_within, *(of_column[name] for name in group))
            for witness, group in zip(self.joint.witnesses, self.joint.groups, strict=True)
        ]
        return _witness_table([0] * len(witnesses), common, witnesses)


def _witness_table(of: list[int], common: list[float], witnesses: list[tuple[Witness, Law, Law]]) -> WitnessTable:
    """`of`: the monitor of each witness, which comes with the law of its values in the reference, for the tilt up and
    for that down; `common`: what a pane has in common there (`ColumnReference.common`)."""
    k = len(of)
    monitor = np.array(of, np.intp)
    slope, offset = np.zeros((k, 2, 5)), np.zeros((k, 2, 5))
    weight, tail = np.zeros((k, 2, 5)), np.zeros((k, 2, 5))
    back_slope, back_offset = np.zeros((k, 2)), np.zeros((k, 2))
    for row, (witness, *laws) in enumerate(witnesses):
        directions = [s for s, wanted in ((UP, witness.up), (DOWN, witness.down)) if wanted]
        for s in directions:
            if witness.share:
                cell = bernoulli_evidence(witness.mu, witness.eps, SIGNS[s])
                back_slope[row, s], back_offset[row, s] = bernoulli_recovery(witness.mu, witness.eps, SIGNS[s])
            else:
                cell = tilt_evidence(*laws[s], witness.mu, witness.eps, SIGNS[s])
                back = tilt_recovery(*laws[1 - s], witness.mu, witness.eps, SIGNS[s])
                back_slope[row, s], back_offset[row, s] = back
            if cell is not None:
                slope[row, s], offset[row, s] = cell
                tail[row, s] = tail_variance(common[row], witness.sigma, slope[row, s])
                weight[row, s] = witness.weight * np.asarray(EFFECT_PRIOR)
    sums = np.zeros(max(of, default=-1) + 1)
    np.add.at(sums, monitor, weight.sum(axis=(1, 2)))
    weight /= np.where(sums > 0.0, sums, 1.0)[monitor, None, None]
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight)
    return WitnessTable(
        monitor=monitor,
        a=np.array([(witness.a, witness.a_within) for witness, _, _ in witnesses]).reshape(-1, 2),
        b=np.array([(witness.b, witness.b_within) for witness, _, _ in witnesses]).reshape(-1, 2),
        tail=tail,
        slope=slope,
        offset=offset,
        log_weight=log_weight,
        back_slope=back_slope,
        back_offset=back_offset,
    )
