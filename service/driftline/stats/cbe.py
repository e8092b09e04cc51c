"""The calibrated block e-detector over all monitors of a section at once.

Guarantee: with mixture M_j of monitor j and weights v_j that sum to 1, sum_j v_j M_j less the elapsed time is a
supermartingale as long as every witness stays within its eps of the reference. So an alarm where
ln M_j >= ln(arl0 / v_j) is false at most once in `arl0` days of traffic (or events) on average, whatever the
traffic does, and whatever ties the monitors together. With n_eff in place of n this is an approximation, checked by
simulation; a cell's n_eff is 1 / (a/n + b + its `tail`), which keeps it one where what a pane has in common enters a
witness squared (`witness.tail_variance`).

    R_k = (dt_k + R_{k-1}) exp(l_k),   M = sum_f w_f sum_s sum_d R(f, s, d) / (signs x sizes)

The onset of a cell is the start that carries most of its R: the update after the last at which the sum of l
since the start was 0 or less (Page's CUSUM, the likelihood's own estimate). That R itself was below dt says less:
where a unit is worth little evidence (n_eff near 1), R follows the elapsed time and never comes back to dt.

Memory per witness: 200 bytes (10 cells of four float32 and one int32), per monitor 48 more; nothing grows. Kept, that
is about 70 bytes a witness, because on quiet streams most cells start anew with every unit. An update is one
vectorised pass, a pure function of state and arguments.

Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2022).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.errors import StateCorrupt

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Starts = NDArray[np.int32]

RECOVERED: Final = log(20.0)
RECOVERY_FLOOR: Final = -log(1000.0)

CELL_FIELDS: Final = (("log_r", "<f4"), ("onset", "<i4"), ("sum_y", "<f4"), ("sum_w", "<f4"), ("sum_n", "<f4"))
MONITOR_FIELDS: Final = (
    ("alarm", "<i4"),
    ("recovery", "<f8"),
    ("lowest", "<f8"),
    ("back", "<i4"),
    ("back_y", "<f8"),
    ("back_w", "<f8"),
    ("back_n", "<f8"),
)


@dataclass(frozen=True, slots=True)
class WitnessTable:
    """The witnesses of a section, monitor after monitor; K witnesses, M monitors.

    `monitor` int [K] ascending and every monitor present; `a`, `b` [K, 2], both lines of the variance; `tail`
    [K, 2, 5], what each cell adds to it (`witness.tail_variance`); `slope`, `offset`, `log_weight` [K, 2, 5] (log
    prior of the cell, -inf where it has none; each monitor's add up to 1); `back_slope`, `back_offset` [K, 2]."""

    monitor: Ints
    a: Floats
    b: Floats
    tail: Floats
    slope: Floats
    offset: Floats
    log_weight: Floats
    back_slope: Floats
    back_offset: Floats

    def __post_init__(self) -> None:
        k = len(self.monitor)
        shapes = [x.shape for x in (self.a, self.b, self.back_slope)]
        cells = [x.shape for x in (self.tail, self.slope, self.offset, self.log_weight)]
        if shapes != [(k, 2)] * 3 or cells != [(k, 2, 5)] * 4:
            raise ValueError(f"a table of {k} witnesses has arrays of shapes {shapes + cells}")
        if k and not np.array_equal(np.unique(self.monitor), np.arange(self.monitor[-1] + 1)):
            raise ValueError("witnesses are not grouped by monitor")

    @property
    def monitors(self) -> int:
        return int(self.monitor[-1]) + 1 if len(self.monitor) else 0


@dataclass(frozen=True, slots=True)
class Run:
    """Units since an onset (`start`, in panes) of one witness: their events `n`, sum of n_eff, and the mean of y
    weighted by n_eff, whose standard error is sigma / sqrt(n_eff)."""

    witness: int
    sign: int
    start: int
    n: float
    n_eff: float
    mean: float


class BlockDetector:
    """State of all monitors of a section. `update`, then read the evidence and `raise_alarm` or `resolve`."""

    def __init__(self, table: WitnessTable) -> None:
        self.table = table
        cells, monitors = (len(table.monitor), 2, 5), (table.monitors,)
        self.log_r = np.full(cells, -np.inf, np.float32)
        self.onset = np.zeros(cells, np.int32)
        self.sum_y = np.zeros(cells, np.float32)
        self.sum_w = np.zeros(cells, np.float32)
        self.sum_n = np.zeros(cells, np.float32)
        self.alarm = np.full(monitors, -1, np.int32)
        self.recovery = np.zeros(monitors)
        self.lowest = np.zeros(monitors)
        self.back = np.zeros(monitors, np.int32)
        self.back_y = np.zeros(monitors)
        self.back_w = np.zeros(monitors)
        self.back_n = np.zeros(monitors)

    def update(self, due: Bools, y: Floats, n: Floats, ratio: Floats, length: Floats, start: Starts) -> Floats:
        """One unit of each monitor that is `due` [M]. `y`, `n` [K]: mean and number of events of each witness
        (n = 0: it saw none, and y is not read), `ratio` [K] by how much an event's variance exceeds the
        reference's (1 or more); `length`, `start` [M]: length of the unit on the clock of arl0 (days of traffic or
        events; > 0 where due) and its first pane. Returns ln M [M], -inf for monitors not due or in alarm.

        Raises ValueError on arrays of other shapes and on values that are not finite: one would blind a monitor
        for ever."""
        t = self.table
        if not (
            due.shape == length.shape == start.shape == self.alarm.shape
            and y.shape == n.shape == ratio.shape == t.monitor.shape
        ):
            raise ValueError(
                f"{len(t.monitor)} witnesses of {t.monitors} monitors; given {y.shape} and {due.shape}"
            )
        seen = due[t.monitor] & (n > 0.0)
        y = np.where(seen, y, 0.0)
        if not (np.isfinite(y).all() and np.isfinite(n).all() and (length[due] > 0.0).all()):
            raise ValueError("means and lengths of a unit must be finite, and lengths positive")
        inflation = (t.a / np.maximum(n, 1.0)[:, None] + t.b).max(axis=1) * ratio
        n_eff = np.where(seen, 1.0 / inflation, 0.0)
        self._recover(due & (self.alarm >= 0), y, n, n_eff, start)
        return self._accumulate(due & (self.alarm < 0), y, n, n_eff, ratio, length, start)

    def _accumulate(
        self, due: Bools, y: Floats, n: Floats, n_eff: Floats, ratio: Floats, length: Floats, start: Starts
    ) -> Floats:
        t = self.table
        evidence = np.full(due.shape, -np.inf)
        k = np.flatnonzero(due[t.monitor])
        if not len(k):
            return evidence
        of = t.monitor[k]
        log_dt = np.log(length[of])[:, None, None]
        w = n_eff[k, None, None]
        trusted = w / (1.0 + w * ratio[k, None, None] * t.tail[k])
        gain = trusted * (t.slope[k] * y[k, None, None] + t.offset[k])
        now = np.logaddexp(log_dt, self.log_r[k]) + gain
        self.log_r[k] = now
        goes_on = t.slope[k] * self.sum_y[k] + t.offset[k] * self.sum_w[k] > 0.0
        self.onset[k] = np.where(goes_on, self.onset[k], start[of, None, None])
        self.sum_y[k] = np.where(goes_on, self.sum_y[k], 0.0) + w * y[k, None, None]
        self.sum_w[k] = np.where(goes_on, self.sum_w[k], 0.0) + w
        self.sum_n[k] = np.where(goes_on, self.sum_n[k], 0.0) + n[k, None, None]
        firsts = np.flatnonzero(np.diff(of, prepend=-1))
        evidence[of[firsts]] = np.logaddexp.reduceat(_log_sum_exp(t.log_weight[k] + now), firsts)
        return evidence

    def _recover(self, due: Bools, y: Floats, n: Floats, n_eff: Floats, start: Starts) -> None:
        """E-process of "no effect" against "the effect that raised the alarm is still eps or more", from ALARM on.

        The literal product sinks without end while the drift lasts, and a drift of months would take months to
        forget, so its log is floored at -ln 1000. The price: beside the 1 in 20 that the literal product allows
        an alarm to be resolved while the effect lasts, once in 20 x 1000 units at the most, on average."""
        t = self.table
        for j in np.flatnonzero(due):
            k, sign = divmod(int(self.alarm[j]) // 5, 2)
            step = n_eff[k] * (t.back_slope[k, sign] * y[k] + t.back_offset[k, sign])
            self.recovery[j] = now = max(self.recovery[j] + step, RECOVERY_FLOOR)
            if self.back_n[j] == 0.0:
                self.back[j] = start[j]
            self.back_y[j] += n_eff[k] * y[k]
            self.back_w[j] += n_eff[k]
            self.back_n[j] += n[k]
            if now <= self.lowest[j]:
                self.lowest[j] = now
                self.back_y[j] = self.back_w[j] = self.back_n[j] = 0.0

    def evidence(self, monitor: int) -> float:
        """ln M of a monitor as it stands."""
        of = self.table.monitor == monitor
        return float(np.logaddexp.reduce(_log_sum_exp(self.table.log_weight[of] + self.log_r[of])))

    def winner(self, monitor: int, witness: int | None = None) -> int:
        """The cell (flat index) with most of a monitor's evidence, or of one of its witnesses'."""
        k = np.flatnonzero(self.table.monitor == monitor) if witness is None else np.array([witness])
        cells = (self.table.log_weight[k] + self.log_r[k]).reshape(-1)
        return int(k[0]) * 10 + int(np.argmax(cells))

    def raise_alarm(self, monitor: int, cell: int) -> Run:
        """Freezes the monitor's evidence and starts the recovery process of the cell's witness and sign."""
        self.alarm[monitor] = cell
        self._start_recovery(monitor)
        return self.run(cell)

    def run(self, cell: int) -> Run:
        """What a cell has seen since its onset."""
        at = k, sign, _ = cell // 10, cell // 5 % 2, cell % 5
        weight = float(self.sum_w[at])
        mean = float(self.sum_y[at]) / weight if weight else 0.0
        return Run(k, sign, int(self.onset[at]), float(self.sum_n[at]), weight, mean)

    def recovered(self, monitor: int) -> bool:
        return bool(self.alarm[monitor] >= 0 and self.recovery[monitor] >= RECOVERED)

    def resolve(self, monitor: int) -> Run:
        """Ends the alarm: all evidence starts again from nothing. Returns the run since things went back."""
        k, sign = divmod(int(self.alarm[monitor]) // 5, 2)
        weight = float(self.back_w[monitor])
        mean = float(self.back_y[monitor]) / weight if weight else 0.0
        run = Run(k, sign, int(self.back[monitor]), float(self.back_n[monitor]), weight, mean)
        self.alarm[monitor] = -1
        self.forget(self.table.monitor == monitor)
        self._start_recovery(monitor)
        return run

    def forget(self, witnesses: Bools) -> None:
        """Their evidence starts again from nothing."""
        self.log_r[witnesses] = -np.inf
        for field in (self.onset, self.sum_y, self.sum_w, self.sum_n):
            field[witnesses] = 0

    def _start_recovery(self, monitor: int) -> None:
        for field in (self.recovery, self.lowest, self.back, self.back_y, self.back_w, self.back_n):
            field[monitor] = 0

    def to_state(self) -> dict[str, bytes]:
        """Little-endian arrays by name, those of the cells together under zlib; equal states give equal bytes."""
        cells = b"".join(_bytes(getattr(self, name), kind) for name, kind in CELL_FIELDS)
        return {"cells": zlib.compress(cells, 1)} | {
            name: _bytes(getattr(self, name), kind) for name, kind in MONITOR_FIELDS
        }

    @staticmethod
    def from_state(table: WitnessTable, state: dict[str, bytes]) -> BlockDetector:
        """Continues where `to_state` left off, bit for bit. Raises StateCorrupt on arrays of other sizes."""
        detector = BlockDetector(table)
        for name, kind, data in _fields(state, detector.log_r.size):
            held: NDArray[Any] = getattr(detector, name)
            if len(data) != held.size * np.dtype(kind).itemsize:
                raise StateCorrupt(f"detector state: {name} has {len(data)} bytes for {held.size} numbers")
            held[...] = np.frombuffer(data, kind).reshape(held.shape)
        if (detector.alarm < -1).any() or (detector.alarm >= 10 * len(table.monitor)).any():
            raise StateCorrupt("detector state: an alarm of a witness that does not exist")
        return detector


def _bytes(values: NDArray[Any], kind: str) -> bytes:
    return values.astype(kind, copy=False).tobytes()


def _fields(state: dict[str, bytes], cells: int) -> Iterator[tuple[str, str, bytes]]:
    """(name, kind, bytes) of every array of a state; StateCorrupt where the cells' are not whole."""
    size = sum(np.dtype(kind).itemsize for _, kind in CELL_FIELDS) * cells
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(state.get("cells", b""), size + 1)
    except zlib.error as error:
        raise StateCorrupt(f"detector state: {error}") from None
    if not unpacker.eof or len(data) != size:
        raise StateCorrupt(f"detector state: {len(data)} bytes of cells, wanted {size}")
    at = 0
    for name, kind in CELL_FIELDS:
        length = np.dtype(kind).itemsize * cells
        yield name, kind, data[at : at + length]
        at += length
    for name, kind in MONITOR_FIELDS:
        yield name, kind, state.get(name, b"")


def _log_sum_exp(cells: Floats) -> Floats:
    """ln sum exp over each witness's cells [K, 2, 5] -> [K]; -inf where all are."""
    flat = cells.reshape(len(cells), 10)
    top = np.maximum(flat.max(axis=1), -1e300)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(flat - top[:, None]).sum(axis=1)))
