"""What is learnt from reference rows, and how it is told."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.codes import CODES, UNSEEN, unseen_code
from driftline.stats.reference import learn_section, settled_rows
from driftline.stats.section import ColumnReference, Section, Stream
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import MISSING_BIN, Witness
from stats.worlds import PANE, Cells, rows_of

SETTINGS = DetectionSettings()


def learn(columns: dict[str, Cells], stream: Stream = "predictions") -> Section:
    return learn_section(stream, rows_of(columns), PANE, SETTINGS)


def column(section: Section, name: str) -> ColumnReference:
    return section.columns[section.grid.index[name]]


def witnesses(section: Section, name: str) -> dict[str, Witness]:
    return {
        w.label if w.form in ("below", "is") else w.form: w
        for w in section.columns[section.grid.index[name]].witnesses
    }


def normal(n: int = 20_000, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(10.0, 2.0, n)


def test_rows_in_any_order_give_the_same_section() -> None:
    rows = rows_of({"features.x": normal(5_000), "score": normal(5_000, 2)})
    order = np.random.default_rng(3).permutation(rows.n)
    one = learn_section("predictions", rows, PANE, SETTINGS)
    assert learn_section("predictions", rows.take(order), PANE, SETTINGS).fingerprint == one.fingerprint


def test_a_numeric_column_has_thirteen_witnesses() -> None:
    section = learn({"features.x": normal()})
    found = column(section, "features.x")
    assert [w.form for w in found.witnesses] == ["below"] * 11 + ["mean", "spread"]
    assert sum(w.weight for w in found.witnesses) == pytest.approx(1.0)
    assert {w.form: w.weight for w in found.witnesses if w.form in ("mean", "spread")} == pytest.approx(
        {"mean": 0.35, "spread": 0.125}
    )
    levels = [w.mu for w in found.witnesses[:11]]
    assert levels == pytest.approx([0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98], abs=0.003)
    assert found.witnesses[9].label.startswith("above the old P90 (12.5")
    assert (found.mean, found.sd) == pytest.approx((10.0, 2.0), rel=0.03)
    assert found.bins <= 62
    weights = np.exp(section.table.log_weight)
    assert [weights[section.table.monitor == j].sum() for j in (0, 1)] == pytest.approx([1.0, 1.0])


def test_the_allowance_is_the_larger_of_effect_and_reference_error() -> None:
    """Mutation: z_ref times the standard error left out of eps in `_fit`."""
    large, small = learn({"x": normal(60_000)}), learn({"x": normal(3_000)})
    assert witnesses(large, "x")["mean"].eps == pytest.approx(0.05)
    mean = witnesses(small, "x")["mean"]
    units = column(small, "x").units
    assert mean.eps == pytest.approx(3.0 * (mean.a / 3_000 + mean.b / units) ** 0.5)
    assert mean.eps > 0.05


def test_atoms_get_edges_of_their_own() -> None:
    """70 % zeros: below 0 and at 0 are two different things to happen."""
    rng = np.random.default_rng(1)
    values = np.where(rng.random(20_000) < 0.7, 0.0, rng.lognormal(size=20_000))
    found = witnesses(learn({"x": values}), "x")
    assert found["below 0"].mu < 0.001
    assert found["above the old P70 (0)"].mu == pytest.approx(0.7, abs=0.01)


def test_a_constant_column_is_watched_for_anything_else() -> None:
    found = witnesses(learn({"x": np.full(5_000, 7.0)}), "x")
    assert set(found) == {"below 7", "above 7"}
    assert found["above 7"].up is True


def test_huge_values_do_not_overflow() -> None:
    rng = np.random.default_rng(1)
    section = learn({"x": rng.choice(np.array([-1e308, 1e308, 0.0]), 5_000)})
    found = column(section, "x")
    assert np.isfinite([*found.scores, found.mean, found.sd]).all()
    assert np.isfinite(section.table.offset).all()


def test_categories_of_one_percent_and_more_have_a_witness() -> None:
    rng = np.random.default_rng(1)
    names = ["a", "b", "c", "rare1", "rare2"]
    cells: list[str | None] = [names[i] for i in rng.choice(5, 20_000, p=[0.6, 0.3, 0.09, 0.006, 0.004])]
    found = witnesses(learn({"features.c": cells}), "features.c")
    assert set(found) == {'"a"', '"b"', '"c"', "the rarer categories"}
    assert found['"b"'].eps == pytest.approx(0.02)
    assert found['"c"'].eps == pytest.approx(found['"c"'].mu / 4, rel=0.2)


def test_errors_and_losses_only_go_up() -> None:
    rng = np.random.default_rng(1)
    section = learn(
        {
            "error": (rng.random(20_000) < 0.1).astype(np.float64),
            "loss": rng.beta(1, 5, 20_000),
            "abs_error": rng.lognormal(size=20_000),
            "label_delay_s": rng.exponential(60.0, 20_000),
        },
        "pairs",
    )
    assert [c.monitor for c in section.monitored] == [
        *("abs_error:distribution", "error:rate", "loss:distribution"),
        "pairs:freshness",
    ]
    error = witnesses(section, "error")["error"]
    assert (error.up, error.down, error.form) == (True, False, "is")
    assert error.eps == pytest.approx(0.02, rel=0.05)
    assert [w.form for w in column(section, "loss").witnesses] == ["mean"]
    for witness in column(section, "abs_error").witnesses:
        assert (witness.up, witness.down) == ((False, True) if witness.form == "below" else (True, False))
    assert any("P99.8" in w.label for w in column(section, "abs_error").witnesses)


def test_too_short_a_reference_does_not_page_and_says_so() -> None:
    section = learn({"x": normal(2_900)})
    assert not section.pageable
    assert "29 panes of 30 values" in section.why_not
    assert learn({"x": normal(3_000)}).why_not == ""


def test_pairs_from_first_events_begin_one_label_delay_in() -> None:
    """Mutation: `settled_rows` returns all rows."""
    rng = np.random.default_rng(1)
    rows = rows_of(
        {"error": (rng.random(10_000) < 0.1).astype(np.float64), "label_delay_s": np.full(10_000, 600.0)}
    )
    section = learn_section("pairs", rows, PANE, SETTINGS, from_first_events=True)
    assert section.label_delay_p99_ms == 600_000
    assert section.start == 600_000
    assert learn_section("pairs", rows, PANE, SETTINGS).start == 0
    assert settled_rows(rows).n == section.n == 9_000
    with pytest.raises(ValueError, match="no row"):
        learn_section("pairs", rows.take(np.arange(900)), PANE, SETTINGS, from_first_events=True)


def test_coarse_counts_add_up() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=9_000)
    values[rng.random(9_000) < 0.2] = np.nan
    cells: list[str | None] = [f"c{i}" for i in rng.zipf(1.3, 9_000) % 400]
    section = learn({"x": values, "features.c": cells})
    for found in section.columns:
        assert found.coarse_counts.sum() == 9_000
        assert found.coarse_counts[:MISSING_BIN].sum() == (~np.isnan(values)).sum() if found.name == "x" else 9_000
        assert len(found.coarse) == CODES
    mapping = column(section, "features.c").coarse_map
    assert mapping[unseen_code("never seen")] == mapping[UNSEEN]
