"""Columns that are stuck: one value only, for longer than chance or the reference's own habits explain.

A column is stuck once all values of its last k rows are one, where the reference varied, and (1) so many draws from
the reference would be the same with a probability below 1e-9, (2) k is more than three times the longest such run in
the reference, and (3) so is the time it has taken. It is over with the first pane in which values differ. That all
values of a pane are one is read off integers: one category, or sums of z and of z^2 that only equal values give (to
0.003 SD). Memory: four integers a column.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Effect, Estimate
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.codes import MISSING
from driftline.stats.encode import MAX_Z
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.section import UNIT_ROWS, ColumnReference, Section, unwatched
from driftline.stats.wording import moment

NEGLIGIBLE: Final = 1e-9
TIMES_LONGEST: Final = 3
_NOTHING: Final = -(2**62)
_FIELDS: Final = ("held", "rows", "since", "alarm")

Ints = NDArray[np.int64]


def longest_run(codes: NDArray[np.uint8], times: Ints) -> tuple[int, int]:
    """(rows, ms) of the longest runs of one code among the values, in order of time; not always of the same run."""
    at = np.flatnonzero(codes < MISSING)
    if not len(at):
        return 0, 0
    held, when = codes[at], times[at]
    starts = np.append(0, np.flatnonzero(np.diff(held)) + 1)
    ends = np.append(starts[1:], len(held)) - 1
    return int((ends - starts).max()) + 1, int((when[ends] - when[starts]).max())


class ConstantRules:
    """Rules of one section. `update` with every pane."""

    def __init__(self, section: Section) -> None:
        self.section = section
        n = len(section.columns)
        self.held = np.full(n, _NOTHING, np.int64)
        """The one value of the run: its category's code, or its distance from the center in fixed point."""
        self.rows = np.zeros(n, np.int64)
        self.since = np.zeros(n, np.int64)
        self.alarm = np.zeros(n, np.int64)
        self._numeric = np.array([column.kind == "numeric" for column in section.columns], np.bool_)
        self._watched = np.array(
            [_varies(column) and not unwatched(column.name) for column in section.columns], np.bool_
        )

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]:
        """The pane from `start` to `end` ms; changes in the order of columns. Raises ValueError for counts of another
        shape."""
        if len(counts.counts) != len(self.held):
            raise ValueError(f"counts of {len(counts.counts)} columns for {len(self.held)}")
        n = counts.counts[:, :MISSING].sum(axis=1)
        one = self._only_value(counts, n)
        seen = (n > 0) & self._watched
        varies = seen & (one == _NOTHING)
        changes = [self._over(i, end, counts) for i in np.flatnonzero(varies & (self.alarm > 0)).tolist()]
        goes_on = seen & ~varies & (one == self.held)
        begins = seen & ~varies & ~goes_on
        # Stuck at another value is stuck still.
        self.since[begins & (self.alarm == 0)] = start
        self.rows[varies | begins] = 0
        self.held[varies], self.held[begins] = _NOTHING, one[begins]
        self.alarm[varies] = 0
        self.rows[seen & ~varies] += n[seen & ~varies]
        long = seen & (self.rows >= UNIT_ROWS) & (self.alarm == 0)
        for i in np.flatnonzero(long).tolist():
            if self._too_long(i, end, counts):
                self.alarm[i] = 1
                changes.append(self._stuck(i, end))
        return sorted(changes, key=lambda change: change.monitor)

    def _only_value(self, counts: PaneCounts, n: Ints) -> Ints:
        """What all values of each column are, `_NOTHING` where they differ or there are none."""
        found = np.full(len(n), _NOTHING, np.int64)
        held = counts.counts[:, :MISSING]
        single = (held.max(axis=1) == n) & (n > 0)
        texts = single & ~self._numeric
        found[texts] = held[texts].argmax(axis=1)
        sums, squares = counts.moments.T
        many = np.maximum(n, 1)
        each = sums // many
        rounded = np.rint(each.astype(np.float64) * each / MOMENT_UNIT).astype(np.int64)
        # What lies at the clip may be anything beyond it.
        equal = (each * many == sums) & (rounded * many == squares) & (np.abs(each) < MAX_Z * MOMENT_UNIT)
        numbers = single & self._numeric & equal
        found[numbers] = each[numbers]
        return found

    def _too_long(self, i: int, end: int, counts: PaneCounts) -> bool:
        column = self.section.columns[i]
        code = int(counts.counts[i, :MISSING].argmax())
        total = int(column.fine_counts[:MISSING].sum())
        share = (int(column.fine_counts[code]) + 0.5) / (total + 1.0)
        return (
            int(self.rows[i]) * math.log(share) <= math.log(NEGLIGIBLE)
            and int(self.rows[i]) > TIMES_LONGEST * column.longest_run
            and end - int(self.since[i]) > TIMES_LONGEST * column.longest_run_ms
        )

    def _stuck(self, i: int, end: int) -> Change:
        column, since = self.section.columns[i], int(self.since[i])
        what = "number" if column.kind == "numeric" else "category"
        sentence = (
            f"{column.name} is stuck: its last {int(self.rows[i]):,} values are all one {what} (since "
            f"{moment(since)}); in the reference never more than {column.longest_run:,} in a row were alike."
        )
        return _change(column, sentence, 1.0, since, end, alarm=True)

    def _over(self, i: int, end: int, counts: PaneCounts) -> Change:
        column = self.section.columns[i]
        held = counts.counts[i, :MISSING]
        share = float(held.max() / held.sum())
        sentence = (
            f"{column.name} varies again (at {moment(end)}); it was stuck since {moment(int(self.since[i]))}."
        )
        return _change(column, sentence, share, end, end, alarm=False)

    @property
    def in_alarm(self) -> list[str]:
        return [f"{self.section.columns[i].name}:constant" for i in np.flatnonzero(self.alarm).tolist()]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {name: getattr(self, name) for name in _FIELDS}

    @staticmethod
    def from_state(section: Section, state: dict[str, Any]) -> ConstantRules:
        """Raises StateCorrupt where the state is of other columns."""
        rules = ConstantRules(section)
        try:
            for name in _FIELDS:
                held = getattr(rules, name)
                if state[name].shape != held.shape:
                    raise ValueError(f"{name} of shape {state[name].shape}")
                held[...] = state[name]
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StateCorrupt(f"constant rules: {error}") from None
        return rules


def _varies(column: ColumnReference) -> bool:
    """Whether the reference has more than one value; rates of 0 and 1 are left to their own monitor."""
    return column.kind != "rate" and int((column.fine_counts[:MISSING] > 0).sum()) > 1


def _change(column: ColumnReference, sentence: str, share: float, onset: int, end: int, *, alarm: bool) -> Change:
    most = float(column.fine_counts[:MISSING].max() / max(int(column.fine_counts[:MISSING].sum()), 1))
    current = Estimate(value=share, low=share, high=share, unit="share")
    return Change(
        monitor=f"{column.name}:constant",
        state="alarm" if alarm else "resolved",
        severity="warning",
        time=end,
        onset=onset,
        sentence=sentence,
        effect=Effect(witness="share of the most frequent value", reference=most, current=current),
    )
