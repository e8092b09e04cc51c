"""Watch on a and b: do the means of units still vary as the reference says they do?

n_eff, and with it every alarm, rests on Var(mean of a unit) = sigma^2 max(a/n + b). Where autocorrelation has grown
since, evidence is overrated. So batches of 32 quiet units of a monitor's main witness are tested: an e-detector
against "at most 1.5 times the variance expected" (3 times is its alternative), with a tenth of the alarm budget on
top of the model's, and no batch worth more than e^6, so that one outlier or the onset of a drift says nothing.

One monitor a stream, `<stream>:variance`: a warning, never more. Memory: 45 bytes a column.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Effect, Estimate, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.change import Change
from driftline.stats.section import Section
from driftline.stats.units import Unit
from driftline.stats.witness import Witness
from driftline.stats.wording import moment

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BATCH: Final = 32
ALLOWED: Final = 1.5
GROWN: Final = 3.0
MOST_NATS: Final = 6.0
RARER: Final = math.log(10.0)
QUIET_BATCHES: Final = 3
"""So many batches in a row within what is allowed end the warning."""

FIELDS: Final = (("log_r", "<f8"), ("n", "<i4"), ("total", "<f8"), ("squares", "<f8"), ("length", "<f8"))
FLAGS: Final = (("since", "<i4"), ("calm", "<i4"), ("grown", "|b1"))


class VarianceWatch:
    """`update` with every unit of the section's monitors."""

    def __init__(self, section: Section, main: list[int]) -> None:
        """`main`: the witness of each monitor that is watched."""
        m = len(section.monitored)
        self.stream = section.stream
        self.names = [column.name for column in section.monitored]
        witnesses: list[Witness] = [w for column in section.monitored for w in column.witnesses]
        self._main = np.array(main, np.intp)
        self._mu = np.array([witnesses[k].mu for k in main])
        self._sigma = np.array([max(witnesses[k].sigma, 1e-12) for k in main])
        self._lines = np.array([(w.a, w.b, w.a_within, w.b_within) for w in (witnesses[k] for k in main)]).T
        self.log_r = np.full(m, -np.inf)
        self.n = np.zeros(m, np.int32)
        self.total = np.zeros(m)
        self.squares = np.zeros(m)
        self.length = np.zeros(m)
        self.since = np.zeros(m, np.int32)
        self.calm = np.zeros(m, np.int32)
        self.grown = np.zeros(m, np.bool_)

    def standardise(self, unit: Unit) -> Floats:
        """Means of the main witnesses [M], less what is expected, in SDs of what they should vary by."""
        n = np.maximum(unit.n[self._main], 1.0)
        a, b, a_within, b_within = self._lines
        inflation = np.maximum(a / n + b, a_within / n + b_within) * unit.ratio[self._main]
        return np.asarray((unit.y[self._main] - self._mu) / (self._sigma * np.sqrt(inflation)))

    def update(
        self, unit: Unit, in_alarm: Bools, levels: Floats, end: int, origin_ms: int, pane_ms: int
    ) -> list[Change]:
        """`levels` [M]: ln of the evidence each monitor pages at; inf where it never does, and is not watched.

        Raises ValueError for a mean that is not finite: it would blind the watch for ever."""
        z = self.standardise(unit)
        seen = unit.due & ~in_alarm & (unit.n[self._main] > 0.0) & np.isfinite(levels)
        if not np.isfinite(z[seen]).all():
            raise ValueError("a mean that is not finite")
        self._forget(in_alarm)
        fresh = seen & (self.n == 0) & np.isneginf(self.log_r)
        self.since[fresh] = unit.start[fresh]
        self.n += seen
        self.total += np.where(seen, z, 0.0)
        self.squares += np.where(seen, z * z, 0.0)
        self.length += np.where(seen, unit.length, 0.0)
        full = np.flatnonzero(self.n >= BATCH)
        return self._close(full, levels, end, origin_ms, pane_ms) if len(full) else []

    def _forget(self, which: Bools) -> None:
        """A batch that a drift has begun in says nothing of a quiet stream."""
        for name in ("n", "total", "squares", "length"):
            getattr(self, name)[which] = 0

    def _close(
        self, full: NDArray[np.intp], levels: Floats, end: int, origin_ms: int, pane_ms: int
    ) -> list[Change]:
        free = BATCH - 1
        q = np.maximum(self.squares[full] - np.square(self.total[full]) / BATCH, 0.0)
        nats = 0.5 * (q * (1.0 / ALLOWED - 1.0 / GROWN) - free * math.log(GROWN / ALLOWED))
        self.log_r[full] = np.logaddexp(np.log(self.length[full]), self.log_r[full]) + np.minimum(nats, MOST_NATS)
        before = bool(self.grown.any())
        news = full[(self.log_r[full] >= levels[full] + RARER) & ~self.grown[full]]
        self.calm[full] = np.where(q <= ALLOWED * free, self.calm[full] + 1, 0)
        over = full[(self.calm[full] >= QUIET_BATCHES) & self.grown[full]]
        self.grown[news], self.grown[over] = True, False
        self.log_r[over] = -np.inf
        # Evidence that has sunk below a batch's own length is nobody's: what comes next starts here.
        low = full[self.log_r[full] < np.log(self.length[full])]
        self.log_r[low] = -np.inf
        ratio = dict(zip(full.tolist(), (q / free).tolist(), strict=True))
        done = np.zeros(len(self.n), np.bool_)
        done[full] = True
        self._forget(done)
        if len(news) and not before:
            j = max(news.tolist(), key=lambda k: ratio[k])
            onset = max(int(self.since[j]) * pane_ms + origin_ms, 0)
            return [self._change("alarm", j, ratio[j], onset, end)]
        if len(over) and before and not self.grown.any():
            j = int(over[-1])
            return [self._change("resolved", j, ratio[j], end, end)]
        return []

    def _change(self, state: SignalState, j: int, ratio: float, onset: int, end: int) -> Change:
        half = 2.0 * ratio * math.sqrt(2.0 / (BATCH - 1))
        name = self.names[j]
        sentence = (
            f"{name}: its means vary {ratio:.1f} times as much as the reference says, since {moment(onset)}: alarms "
            f"are less certain than promised. A newer reference would mend that."
            if state == "alarm"
            else f"{name}: its means vary as the reference says again ({ratio:.1f} times)."
        )
        return Change(
            monitor=f"{self.stream}:variance",
            state=state,
            severity="warning",
            time=end,
            onset=onset,
            sentence=sentence,
            effect=Effect(
                witness=f"variance of the means of {name}, against what is expected",
                reference=1.0,
                current=Estimate(value=ratio, low=max(ratio - half, 0.0), high=ratio + half, unit="value"),
            ),
        )

    @property
    def in_alarm(self) -> list[str]:
        return [f"{self.stream}:variance"] if self.grown.any() else []

    def to_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name, _ in (*FIELDS, *FLAGS)}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises StateCorrupt for arrays of other shapes."""
        for name, kind in (*FIELDS, *FLAGS):
            held, found = getattr(self, name), state.get(name)
            if not isinstance(found, np.ndarray) or found.shape != held.shape or found.dtype != np.dtype(kind):
                raise StateCorrupt(f"watch on variance: {name} is not what it was")
            held[...] = found
