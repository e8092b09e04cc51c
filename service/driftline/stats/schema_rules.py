"""Columns that disappear, change type, appear, or overflow with new values: rules, not statistics.

Rules speak on units of at least 30 rows. One warns once its condition has been true for three units in a row, and
resolves once it has been false for as many. A column that goes missing for hours in its own reference has to be
gone for more than twice the longest of these gaps. One unit is enough for cardinality, which rests on 56 counters; a
column whose table did not hold all of its reference overflows at twice the share that was outside, or never.
Memory is fixed: 64 flags and at most ten numbers a column, and 32 names that the reference does not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from driftline.contracts.records import Effect, Estimate, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.codes import CODES, MISSING, UNSEEN, UNSEEN_COUNTERS, WRONG_TYPE
from driftline.stats.section import NEARLY_ALL, UNIT_ROWS, Section, unwatched
from driftline.stats.wording import moment

UNITS: Final = 3
HALF: Final = 0.5
APPEARED_SHARE: Final = 0.01
MOST_NAMES: Final = 32
TOUCHED: Final = 56
UNSEEN_SHARE: Final = 0.10
CARDINALITY_ROWS: Final = 1_500
"""A unit of 30 rows cannot touch 56 counters: cardinality is judged on up to so many, as soon as it is true."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one unit says of one rule: `needed` units like it in a row turn the verdict to alarm."""

    monitor: str
    holds: bool
    needed: int
    words: str
    what: str
    before: float
    share: float
    rows: int


class SchemaRules:
    """Rules of one section. `update` with every pane; changes come in the order of columns, then of names."""

    def __init__(self, section: Section) -> None:
        columns = len(section.grid.columns)
        self.section = section
        self.since = self.rows = 0
        self.status = np.zeros((columns, 2), np.int64)  # missing, wrong type
        self.extra: dict[str, int] = {}
        self.unseen_since = self.unseen_rows = 0
        self.unseen = np.zeros(columns, np.int64)
        self.touched = np.zeros((columns, UNSEEN_COUNTERS), np.bool_)
        self.verdicts: dict[str, tuple[bool, int, int]] = {}
        """By monitor: in alarm?, units in a row that say otherwise, start of these. Absent: all is well."""
        reference = np.array([column.fine_counts for column in section.columns]).reshape(columns, CODES)
        self._before = reference[:, [MISSING, WRONG_TYPE]] / section.n
        # These are missing wherever they do not apply: a day without a positive outcome is no change of schema.
        self._before[[unwatched(column.name) for column in section.columns]] = 1.0
        unseen = reference[:, UNSEEN : UNSEEN + UNSEEN_COUNTERS].sum(axis=1) / section.n
        self._too_many = np.maximum(UNSEEN_SHARE, 2 * unseen)
        self._categorical = np.array(
            [column.kind == "categorical" and not unwatched(column.name) for column in section.columns], np.bool_
        )
        self._known = {f"{column.name}:schema" for column in section.columns}

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]:
        """The pane from `start` to `end` ms. Raises ValueError for counts of another shape."""
        if counts.counts.shape != (len(self._before), CODES):
            raise ValueError(f"counts of shape {counts.counts.shape} for {len(self._before)} columns")
        self.since = self.since if self.rows else start
        self.unseen_since = self.unseen_since if self.unseen_rows else start
        self.rows += counts.n
        self.unseen_rows += counts.n
        self.status += counts.counts[:, [MISSING, WRONG_TYPE]]
        unseen = counts.counts[:, UNSEEN : UNSEEN + UNSEEN_COUNTERS] * self._categorical[:, None]
        self.unseen += unseen.sum(axis=1)
        self.touched |= unseen > 0
        for name, rows in counts.extra.items():
            if name in self.extra or len(self.extra) <= MOST_NAMES:
                self.extra[name] = self.extra.get(name, 0) + rows
        if self.rows < UNIT_ROWS:
            return []
        changes = [
            *self._judge(self._columns(), self.since, end),
            *self._judge(self._cardinality(), self.unseen_since, end),
            *self._judge(self._names(), self.since, end),
        ]
        self.rows = 0
        self.status[:] = 0
        self.extra.clear()
        if self._cardinality_closes():
            self.unseen_rows = 0
            self.unseen[:] = 0
            self.touched[:] = False
        return changes

    def _columns(self) -> Iterator[_Finding]:
        shares = self.status / self.rows
        broken = (shares >= NEARLY_ALL) & (self._before < HALF)
        for i, column in enumerate(self.section.columns):
            if not (broken[i].any() or f"{column.name}:schema" in self.verdicts):
                continue  # all is well, as it was
            which = int(broken[i, 1])
            # What is whole again does not tell which of the two it was.
            words = (
                ("has disappeared", "has changed its type")[which]
                if broken[i].any()
                else "is gone or of another type"
            )
            what = ("rows without a value", "values of another type")[which]
            yield _Finding(
                monitor=f"{column.name}:schema",
                holds=bool(broken[i].any()),
                needed=max(UNITS, 2 * column.longest_gap + 1),
                words=f"{column.name} {words}",
                what=what,
                before=float(self._before[i, which]),
                share=float(shares[i, which]),
                rows=self.rows,
            )

    def _overflowing(self) -> list[bool]:
        full = self.touched.sum(axis=1) >= TOUCHED
        return [bool(x) for x in full & (self.unseen >= self._too_many * self.unseen_rows)]

    def _cardinality_closes(self) -> bool:
        return any(self._overflowing()) or self.unseen_rows >= CARDINALITY_ROWS

    def _cardinality(self) -> Iterator[_Finding]:
        if not self._cardinality_closes():
            return
        for i, overflowing in enumerate(self._overflowing()):
            column = self.section.columns[i]
            if not (overflowing or f"{column.name}:cardinality" in self.verdicts):
                continue
            unseen = float(column.fine_counts[UNSEEN : UNSEEN + UNSEEN_COUNTERS].sum()) / self.section.n
            yield _Finding(
                monitor=f"{column.name}:cardinality",
                holds=overflowing,
                needed=1,
                words=f"{column.name} overflows with new values",
                what="values outside its table",
                before=unseen,
                share=float(self.unseen[i]) / self.unseen_rows,
                rows=self.unseen_rows,
            )

    def _names(self) -> Iterator[_Finding]:
        """Names of the unit, and those an earlier unit has left a verdict on; at most 32 have one."""
        held = sorted(monitor.removesuffix(":schema") for monitor in self._appeared())
        room = MOST_NAMES - len(held)
        often = [name for name, rows in sorted(self.extra.items()) if rows >= APPEARED_SHARE * self.rows]
        for name in sorted({*held, *[name for name in often if name not in held][:room]}):
            rows = self.extra.get(name, 0)
            yield _Finding(
                monitor=f"{name}:schema",
                holds=rows >= APPEARED_SHARE * self.rows,
                needed=UNITS,
                words="further columns have appeared" if name == "*" else f"{name} has appeared",
                what="rows with a value",
                before=0.0,
                share=min(rows / self.rows, 1.0),
                rows=self.rows,
            )

    def _appeared(self) -> list[str]:
        return [m for m in self.verdicts if m.endswith(":schema") and m not in self._known]

    def _judge(self, findings: Iterator[_Finding], since: int, end: int) -> list[Change]:
        changes = []
        for found in list(findings):
            alarm, streak, began = self.verdicts.get(found.monitor, (False, 0, since))
            if found.holds == alarm:
                streak = 0
            else:
                began = began if streak else since
                streak += 1
                if streak >= (found.needed if found.holds else max(found.needed, UNITS)):
                    alarm, streak = found.holds, 0
                    changes.append(_change(found, "alarm" if alarm else "resolved", began, end))
            if alarm or streak:
                self.verdicts[found.monitor] = alarm, streak, began
            else:
                self.verdicts.pop(found.monitor, None)
        return changes

    @property
    def in_alarm(self) -> list[str]:
        return sorted(monitor for monitor, (alarm, _, _) in self.verdicts.items() if alarm)

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {
            "numbers": [self.since, self.rows, self.unseen_since, self.unseen_rows],
            "status": self.status.astype(np.uint32),
            "unseen": self.unseen.astype(np.uint32),
            "touched": np.packbits(self.touched, axis=1),
            "extra": dict(sorted(self.extra.items())),
            "verdicts": {monitor: list(self.verdicts[monitor]) for monitor in sorted(self.verdicts)},
        }

    @staticmethod
    def from_state(section: Section, state: dict[str, Any]) -> SchemaRules:
        """Raises StateCorrupt where the state is of other columns."""
        rules = SchemaRules(section)
        try:
            rules.since, rules.rows, rules.unseen_since, rules.unseen_rows = state["numbers"]
            rules.status[...] = state["status"]
            rules.unseen[...] = state["unseen"]
            rules.touched[...] = np.unpackbits(state["touched"], axis=1).astype(np.bool_)
            rules.extra = dict(state["extra"])
            rules.verdicts = {m: (bool(a), int(n), int(t)) for m, (a, n, t) in state["verdicts"].items()}
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"schema rules: {error}") from None
        return rules


def _change(found: _Finding, state: SignalState, began: int, end: int) -> Change:
    half = 2.0 * math.sqrt(found.share * (1.0 - found.share) / found.rows)
    low, high = max(found.share - half, 0.0), min(found.share + half, 1.0)
    current = Estimate(value=found.share, low=low, high=high, unit="share")
    effect = Effect(witness=f"share of {found.what}", reference=found.before, current=current)
    opening = found.words if state == "alarm" else f"No longer true: {found.words}"
    figures = f"{100 * found.share:.1f} %, against {100 * found.before:.1f} % in the reference"
    return Change(
        monitor=found.monitor,
        state=state,
        severity="warning",
        time=end,
        onset=began,
        sentence=f"{opening} (since {moment(began)}): the {effect.witness} is {figures}.",
        effect=effect,
    )
