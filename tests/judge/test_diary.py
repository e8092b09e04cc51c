"""The diary of errors: exact, whatever the order; bounded; and its bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftline.contracts.blocks import PAIRS
from driftline.errors import StateCorrupt
from driftline.judge.diary import DAY_MS, MAX_DAYS, Diary, counted
from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings

HOUR = 3_600_000


def pairs(n: int, seed: int = 1, column: str = "error", days: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, days * DAY_MS, n))
    values = (rng.random(n) < 0.25).astype(np.float64) if column == "error" else rng.normal(50.0, 20.0, n)
    return Rows(times, np.arange(n, dtype=np.uint64), {column: Column(values)})


def section(rows: Rows) -> Section:
    return learn_section(PAIRS, rows, HOUR, DetectionSettings())


def write(diary: Diary, held: Section, panes: list[tuple[int, PaneCounts]]) -> Diary:
    for start, counts in panes:
        diary.add(held, start, *counted(held, counts))
    return diary


def truth(rows: Rows, column: str) -> list[tuple[int, int, float]]:
    day = rows.times // DAY_MS
    values = rows.columns[column].numbers
    return [(int(d) * DAY_MS, int((day == d).sum()), float(values[day == d].sum())) for d in np.unique(day)]


@pytest.mark.parametrize("column", ["error", "loss", "abs_error"])
def test_days_hold_what_came_raw_or_counted(column: str) -> None:
    rows = pairs(900, column=column)
    held = section(rows)
    counted_days = write(Diary(), held, list(fold_rows(held.grid, rows).items())).read([], 0)
    for found in (counted_days, Diary().read([rows], 0)):
        assert found[0] == column
        assert [(d.start, d.n) for d in found[1]] == [(start, n) for start, n, _ in truth(rows, column)]
        for day, (_, n, total) in zip(found[1], truth(rows, column), strict=True):
            assert day.total == pytest.approx(total, abs=0.01 * n)
    assert [d.start for d in Diary().read([rows], DAY_MS)[1]] == [DAY_MS, 2 * DAY_MS]


@pytest.mark.parametrize("column", ["error", "loss"])
def test_neither_order_nor_parts_matter_to_the_last_bit(column: str) -> None:
    """Mutation: sum up floats in Diary.add instead of units."""
    rows = pairs(600, column=column)
    held = section(rows)
    thirds = [rows.take(np.flatnonzero(np.arange(rows.n) % 3 == k)) for k in range(3)]
    found = set()
    for order in itertools.permutations(thirds):
        panes = [pane for part in order for pane in fold_rows(held.grid, part).items()]
        found.add(write(Diary(), held, panes).to_bytes())
        found.add(write(Diary(), held, panes[::-1]).to_bytes())
    assert found == {write(Diary(), held, list(fold_rows(held.grid, rows).items())).to_bytes()}
    raw = {tuple(Diary().read(list(order), 0)[1]) for order in itertools.permutations(thirds)}
    assert len(raw) == 1


def test_the_newest_days_are_kept_whatever_the_order() -> None:
    """Mutation: let any new day in, in Diary._room_for; with the oldest first, others are left."""
    held = section(pairs(600))
    days = list(range(MAX_DAYS + 40))
    shuffled = np.random.default_rng(3).permutation(days).tolist()
    found = set()
    for order in (days, days[::-1], shuffled):
        diary = Diary()
        for day in order:
            diary.add(held, day * DAY_MS, 2, 1)
        found.add(diary.to_bytes())
        assert [d.start // DAY_MS for d in diary.read([], 0)[1]] == days[-MAX_DAYS:]
    assert len(found) == 1
    assert len(found.pop()) < 2_048


def test_a_new_grid_goes_on_with_the_same_days() -> None:
    rows, later = pairs(600, column="loss"), pairs(600, 2, column="loss")
    diary = Diary()
    for part in (rows, later):
        held = section(part)
        write(diary, held, list(fold_rows(held.grid, part).items()))
    column, days = Diary.from_bytes(diary.to_bytes()).read([], 0)
    assert (column, [d.n for d in days]) == (
        "loss",
        [a[1] + b[1] for a, b in zip(truth(rows, "loss"), truth(later, "loss"), strict=True)],
    )
    assert days[0].total == pytest.approx(truth(rows, "loss")[0][2] + truth(later, "loss")[0][2], abs=2.0)


def test_rubbish_is_no_diary() -> None:
    with pytest.raises(StateCorrupt):
        Diary.from_bytes(b"rubbish")
    with pytest.raises(StateCorrupt):
        Diary.from_bytes(Diary().to_bytes()[:-1] + b"x")
