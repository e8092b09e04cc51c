"""Columns that disappear, change type, appear, or overflow with new values: rules, not statistics.

A rule speaks on units of at least 30 rows, warns once, and resolves when its condition has been false for three
units in a row. Memory is fixed: seven numbers a column and at most 32 names of columns that appeared.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from driftline.contracts.records import Effect, Estimate
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.codes import CODES, MISSING, UNSEEN, UNSEEN_COUNTERS, WRONG_TYPE
from driftline.stats.section import Section
from driftline.stats.wording import moment

UNIT_ROWS: Final = 30
QUIET_UNITS: Final = 3
NEARLY_ALL: Final = 0.99
HALF: Final = 0.5
APPEARED_SHARE: Final = 0.01
APPEARED_ROWS: Final = 3
"""A stray field in one record of a small unit is no column."""
MOST_NAMES: Final = 32
TOUCHED: Final = 56
UNSEEN_SHARE: Final = 0.10
CARDINALITY_ROWS: Final = 1_500
"""A unit of 30 rows cannot touch 56 counters: cardinality is judged on up to so many, as soon as it is true."""


class SchemaRules:
    """Rules of one section. `update` with every pane; what it returns is in the order of columns, then names."""

    def __init__(self, section: Section) -> None:
        self.section = section
        columns = len(section.grid.columns)
        self.since = 0
        self.rows = 0
        self.status = np.zeros((columns, 2), np.int64)  # missing, wrong type
        self.unseen_rows = 0
        self.unseen_since = 0
        self.unseen = np.zeros(columns, np.int64)
        self.touched = np.zeros((columns, UNSEEN_COUNTERS), np.bool_)
        self.quiet = np.full((columns, 2), -1, np.int64)  # quiet units of an alarm (schema, cardinality), -1: none
        self.extra: dict[str, int] = {}
        self.appeared: dict[str, int] = {}
        reference = np.stack([column.fine_counts for column in section.columns])
        self._before = reference[:, [MISSING, WRONG_TYPE]] / section.n
        self._categorical = [column.kind == "categorical" for column in section.grid.columns]

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]:
        """The pane from `start` to `end` ms."""
        if counts.counts.shape != (len(self._before), CODES):
            raise ValueError(f"counts of shape {counts.counts.shape} for {len(self._before)} columns")
        if not self.rows:
            self.since = start
        if not self.unseen_rows:
            self.unseen_since = start
        self.rows += counts.n
        self.unseen_rows += counts.n
        self.status += counts.counts[:, [MISSING, WRONG_TYPE]]
        unseen = counts.counts[:, UNSEEN : UNSEEN + UNSEEN_COUNTERS]
        self.unseen[self._categorical] += unseen[self._categorical].sum(axis=1)
        self.touched[self._categorical] |= unseen[self._categorical] > 0
        for name, rows in counts.extra.items():
            self.extra[name] = self.extra.get(name, 0) + rows
        if self.rows < UNIT_ROWS:
            return []
        changes = [*self._judge_columns(end), *self._judge_names(end)]
        self.rows = 0
        self.status[:] = 0
        self.extra.clear()
        return changes

    def _judge_columns(self, end: int) -> list[Change]:
        changes: list[Change | None] = []
        shares = self.status / self.rows
        broken = (shares >= NEARLY_ALL) & (self._before < HALF)
        full = self.touched.sum(axis=1) >= TOUCHED
        overflowing = full & (self.unseen >= UNSEEN_SHARE * self.unseen_rows)
        closes = bool(overflowing.any()) or self.unseen_rows >= CARDINALITY_ROWS
        for i, column in enumerate(self.section.columns):
            name = column.name
            gone, changed = bool(broken[i, 0]), bool(broken[i, 1])
            which = 1 if changed else 0
            effect = _effect(("rows without a value", "values of another type")[which], *self._at(i, which))
            what = "has changed its type" if changed else "has disappeared"
            changes.append(
                self._turn(f"{name}:schema", (i, 0), gone or changed, self.since, end, f"{name} {what}", effect)
            )
            if closes and self._categorical[i]:
                share = float(self.unseen[i]) / self.unseen_rows
                effect = _effect("unseen values", 0.0, share, self.unseen_rows)
                words = f"{name} overflows with new values"
                changes.append(
                    self._turn(
                        f"{name}:cardinality",
                        (i, 1),
                        bool(overflowing[i]),
                        self.unseen_since,
                        end,
                        words,
                        effect,
                    )
                )
        if closes:
            self.unseen_rows = 0
            self.unseen[:] = 0
            self.touched[:] = False
        return [change for change in changes if change is not None]

    def _at(self, column: int, which: int) -> tuple[float, float, int]:
        return float(self._before[column, which]), float(self.status[column, which]) / self.rows, self.rows

    def _turn(
        self, monitor: str, at: tuple[int, int], holds: bool, since: int, end: int, words: str, effect: Effect
    ) -> Change | None:
        before = int(self.quiet[at])
        now, change = _turned(before, holds)
        self.quiet[at] = now
        return None if change is None else _change(monitor, change, since, end, words, effect)

    def _judge_names(self, end: int) -> list[Change]:
        changes = []
        for name in sorted(self.extra.keys() | self.appeared.keys()):
            rows = self.extra.get(name, 0)
            known = name in self.appeared
            holds = rows >= APPEARED_SHARE * self.rows and (rows >= APPEARED_ROWS or known)
            if not known and (not holds or len(self.appeared) >= MOST_NAMES):
                continue
            now, state = _turned(self.appeared.get(name, -1), holds)
            if now < 0:
                del self.appeared[name]
            else:
                self.appeared[name] = now
            if state is not None:
                share = min(rows / self.rows, 1.0)
                effect = _effect("rows with a value", 0.0, share, self.rows)
                words = f"{name} has appeared"
                changes.append(_change(f"{name}:schema", state, self.since, end, words, effect))
        return changes

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        numbers = [self.since, self.rows, self.unseen_since, self.unseen_rows]
        return {
            "numbers": numbers,
            "status": self.status,
            "unseen": self.unseen,
            "touched": np.packbits(self.touched, axis=1),
            "quiet": self.quiet.astype(np.int8),
            "extra": dict(sorted(self.extra.items())),
            "appeared": dict(sorted(self.appeared.items())),
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
            rules.quiet[...] = state["quiet"]
            rules.extra, rules.appeared = dict(state["extra"]), dict(state["appeared"])
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"schema rules: {error}") from None
        return rules


def _turned(quiet: int, holds: bool) -> tuple[int, str | None]:
    """(quiet units of the alarm now, what to say)."""
    if holds:
        return 0, "alarm" if quiet < 0 else None
    if quiet < 0:
        return -1, None
    return (-1, "resolved") if quiet + 1 >= QUIET_UNITS else (quiet + 1, None)


def _effect(what: str, before: float, share: float, rows: int) -> Effect:
    half = 2.0 * math.sqrt(share * (1.0 - share) / rows)
    current = Estimate(value=share, low=max(share - half, 0.0), high=min(share + half, 1.0), unit="share")
    return Effect(witness=f"share of {what}", reference=before, current=current)


def _change(monitor: str, state: str, since: int, end: int, words: str, effect: Effect) -> Change:
    now, before = 100.0 * effect.current.value, 100.0 * effect.reference
    figures = f"the {effect.witness} is {now:.1f} % since {moment(since)}, {before:.1f} % in the reference"
    if state == "resolved":
        words = f"No longer true: {words}"
    return Change(
        monitor=monitor,
        state="alarm" if state == "alarm" else "resolved",
        severity="warning",
        time=end,
        onset=since,
        sentence=f"{words}: {figures}.",
        effect=effect,
    )
