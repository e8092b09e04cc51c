"""Which part moved: the three largest parts, with error bars, in words; nothing where nothing moved."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.contracts.records import Part
from driftline.stats.contributions import part_sentence, parts_of
from driftline.stats.reference import learn_section
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import WIDTH
from stats.worlds import PANE, Cells, rows_of

N = 20_000


def section(cells: Cells) -> Section:
    return learn_section("predictions", rows_of({"x": cells}), PANE, DetectionSettings())


def moved(reference: Cells, present: Cells, inflation: float = 1.0) -> list[Part]:
    learnt = section(reference)
    column, grid = learnt.columns[0], learnt.grid.columns[0]
    now = _coarse(learnt, present)
    return parts_of(column, grid, now, inflation)


def _coarse(learnt: Section, cells: Cells) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    from driftline.stats.encode import encode_cells

    codes = encode_cells(learnt.grid, rows_of({"x": cells}))[:, 0]
    return np.bincount(learnt.columns[0].coarse_map[codes], minlength=WIDTH).astype(np.int64)


def test_the_stretch_that_grew_is_named_whole() -> None:
    """Uniform from 0 to 100; a tenth more between 20 and 40. Mutation: `together=False` in `parts_of`."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.0, 100.0, 5_000)
    x[:1_000] = rng.uniform(20.0, 40.0, 1_000)
    parts = moved(rng.uniform(0.0, 100.0, N), x)
    first = parts[0]
    assert [float(word) for word in first.what.split()[1::2]] == pytest.approx([20.0, 40.0], abs=1.5)
    assert first.reference == pytest.approx(0.2, abs=0.01)
    assert first.current.value == pytest.approx(0.36, abs=0.03)
    assert first.current.low < first.current.value < first.current.high
    assert part_sentence(first).endswith(" % to " + f"{100 * first.current.value:.1f} %")
    assert all(part.current.value < part.reference for part in parts[1:])
    assert len(parts) <= 3


def test_a_shift_moves_both_ends() -> None:
    rng = np.random.default_rng(1)
    parts = moved(rng.normal(size=N), rng.normal(1.0, 1.0, 2_000))
    assert [part.what.split()[1] for part in parts] == ["from", "below"]
    assert parts[0].current.value > parts[0].reference


def test_an_atom_is_named_by_its_value() -> None:
    rng = np.random.default_rng(1)

    def zeros(share: float, n: int) -> Cells:
        return np.where(rng.random(n) < share, 0.0, rng.lognormal(size=n))

    assert "values of 0" in {part.what for part in moved(zeros(0.3, N), zeros(0.6, 2_000))}


def test_categories_are_named() -> None:
    rng = np.random.default_rng(1)

    def cells(p: list[float], n: int) -> Cells:
        return [("a\n", "b", "c", "new")[i] for i in rng.choice(4, n, p=p)]

    parts = moved(cells([0.5, 0.3, 0.2, 0.0], N), cells([0.3, 0.3, 0.2, 0.2], 2_000))
    assert {part.what for part in parts} == {'"a?"', "unseen categories"}


@pytest.mark.parametrize("seed", range(5))
def test_what_did_not_move_is_not_named(seed: int) -> None:
    """Two standard errors each of twelve stretches: by chance a few in a hundred, small ones, and never many."""
    rng = np.random.default_rng(seed)
    parts = moved(rng.normal(size=N), rng.normal(size=2_000), inflation=4.0)
    assert all(abs(part.current.value - part.reference) < 0.05 for part in parts)
    assert len(parts) <= 1


def test_nothing_is_known_of_an_empty_present() -> None:
    assert moved(np.random.default_rng(1).normal(size=N), np.full(100, np.nan)) == []
