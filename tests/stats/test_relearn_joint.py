"""`features:joint` learnt anew from sums: as sound as from rows, hardly slower, and no way to learn a drift."""

from __future__ import annotations

from functools import cache, reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftline.stats.change import Change
from driftline.stats.embedding import UNIT
from driftline.stats.explain import explain
from driftline.stats.joint import BESIDE, JointReference
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, decode_profile, encode_profile, make_profile
from driftline.stats.relearn import relearn_section
from driftline.stats.relearn_joint import moved_together
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import Shown
from driftline.stats.witness import worst_law
from stats.worlds import PANE, PER_PANE, Cells, judge, panes_of, profile_of

SETTINGS = DetectionSettings(season="none")
N = 20_000
SPAN = 6
"""Panes in a span of the book."""
WINDOW = 64 * SPAN * PER_PANE
COLUMNS = 8


def world(seed: int, n: int, rho: float | NDArray[np.float64] = 0.8) -> NDArray[np.float64]:
    """Normal columns, of which 0 and 1 correlate; column 2 is skewed."""
    x = np.random.default_rng(seed).normal(size=(n, COLUMNS))
    x[:, 1] = rho * x[:, 0] + np.sqrt(1.0 - np.square(rho)) * x[:, 1]
    x[:, 2] = np.exp(x[:, 2])
    return np.asarray(x)


def cells(x: NDArray[np.float64]) -> dict[str, Cells]:
    return {f"features.f{i}": x[:, i] for i in range(COLUMNS)}


@cache
def original() -> Profile:
    return profile_of(cells(world(0, N)), SETTINGS)


def shown(x: NDArray[np.float64]) -> list[Shown]:
    section = original().predictions
    panes = [Shown.of(section, counts) for _, counts in panes_of(original(), "predictions", cells(x))]
    return [reduce(add, panes[i : i + SPAN]) for i in range(0, len(panes), SPAN)]


def anew(x: NDArray[np.float64]) -> Profile:
    start = original().judged_from
    end = start + len(x) // PER_PANE * PANE
    section = relearn_section(original().predictions, shown(x), start, end, SPAN * PANE, SETTINGS)
    return make_profile(
        model="m", version="1", source="rolling", created=end, judged_from=end, predictions=section, revision=2
    )


@cache
def rolled() -> Profile:
    return anew(world(1, WINDOW))


def joint_of(profile: Profile) -> JointReference:
    assert profile.predictions.joint is not None
    return profile.predictions.joint


def judged(profile: Profile, x: NDArray[np.float64]) -> list[tuple[int, Change]]:
    """(events seen, change)"""
    found = judge(ModelMonitors(profile, SETTINGS), "predictions", panes_of(profile, "predictions", cells(x)))
    return [((pane + 1) * PER_PANE, change) for pane, change in found]


def test_means_are_those_of_the_rows_and_nothing_is_seen_better_than_before() -> None:
    """Mutations: mu of the original; `max(w.b, b[0])` without `w.b`; no `held` in `_variance`."""
    x = world(1, WINDOW)
    panes = panes_of(original(), "predictions", cells(x))
    exact = np.sum([counts.joint for _, counts in panes], axis=0) / (UNIT * len(x))
    for j, (before, after) in enumerate(
        zip(joint_of(original()).witnesses, joint_of(rolled()).witnesses, strict=True)
    ):
        assert after.mu == pytest.approx(exact[j], abs=1e-12)
        assert after.sigma >= before.sigma and after.b >= before.b and after.b_within >= before.b_within
        assert (after.a, after.a_within) == (before.a, before.a_within)
        assert after.sigma <= 1.25 * before.sigma
        assert after.eps >= SETTINGS.min_effect_sd * after.sigma


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=6),
    weights=st.lists(st.integers(1, 100), min_size=6, max_size=6),
    theta=st.floats(0.01, 20.0),
    sign=st.sampled_from([1.0, -1.0]),
    more=st.floats(1.0, 3.0),
)
def test_no_law_weighs_more_than_the_worst(
    values: list[float], weights: list[int], theta: float, sign: float, more: float
) -> None:
    """Mutation: in `worst_law`, `room` the distance to the other end."""
    f, p = np.array(values), np.array(weights[: len(values)]) / sum(weights[: len(values)])
    mu = float(p @ f)
    variance = min(more * float(p @ np.square(f - mu)), 1.0 - mu * mu)
    if variance < 1e-6:
        return
    worst, shares = worst_law(mu, variance**0.5, sign)
    assert (np.abs(worst) <= 1.0 + 1e-9).all() and float(shares @ worst) == pytest.approx(mu, abs=1e-9)
    assert float(shares @ np.square(worst - mu)) == pytest.approx(variance, rel=1e-6)
    bound = float(shares @ np.exp(theta * sign * (worst - mu)))
    assert float(p @ np.exp(theta * sign * (f - mu))) <= bound * (1.0 + 1e-6)


@pytest.mark.parametrize(("rho", "within"), [(-0.8, 200), (0.5, 500), (0.7, 3_000)])
def test_a_correlation_that_changes_afterwards_is_found(rho: float, within: int) -> None:
    """Mutation: `joint=None` in `relearn_section`."""
    found = judged(rolled(), world(2, within, rho))
    assert [change.monitor for _, change in found] == ["features:joint"]
    _, change = found[0]
    assert change.effect is not None
    assert change.effect.reference == pytest.approx(0.8, abs=0.05)
    assert "features.f0 and features.f1 have changed the way they go together" in change.sentence


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_changes_nothing_is_said(seed: int) -> None:
    assert judged(rolled(), world(10 + seed, 40_000)) == []


def test_what_goes_back_is_resolved() -> None:
    found = judged(rolled(), np.concatenate([world(2, 3_000, -0.8), world(4, 20_000)]))
    assert [change.state for _, change in found] == ["alarm", "resolved"]


def test_a_drift_that_was_followed_is_no_news() -> None:
    """Mutation: mu of the original."""
    x = world(5, WINDOW + 60_000)
    x[:, 1] += 0.2
    followed, after = anew(x[:WINDOW]), x[WINDOW:]
    assert judged(followed, after) == []
    assert judged(original(), after)


def test_what_panes_have_in_common_since_is_no_news() -> None:
    """Independent rows in the original, in the window and now none. Mutation: in `_refit`, sigma and
    b of the original."""
    x = world(6, WINDOW + 60_000)
    common = np.repeat(np.random.default_rng(7).normal(0.0, 0.25, (len(x) // PER_PANE, COLUMNS)), PER_PANE, axis=0)
    x += common
    said = [change.monitor for _, change in judged(anew(x[:WINDOW]), x[WINDOW:])]
    assert "features:joint" not in said


@pytest.mark.parametrize("shift", [0.15, 0.4, 1.0])
def test_a_column_that_moves_alone_is_told_of_once(shift: float) -> None:
    moved = world(5, 10_000)
    moved[:, 3] += shift
    found = [change for _, change in judged(rolled(), moved)]
    assert [change.monitor for change in found if "quality" not in change.monitor] == ["features.f3:distribution"]


def test_the_distance_grows_with_a_correlation_that_creeps_and_with_nothing_else() -> None:
    """Mutation: in `moved_together`, no square root of the noise."""
    reference = joint_of(original())
    still, _ = moved_together(reference, shown(world(8, WINDOW)), SETTINGS)
    assert still == 0.0
    creeping = np.linspace(0.8, 0.55, WINDOW)
    moved, columns = moved_together(reference, shown(world(8, WINDOW, creeping)), SETTINGS)
    assert 0.1 < moved < 0.3 and columns == ["features.f0", "features.f1"]


def test_what_is_each_versions_own_is_left_out() -> None:
    """Mutation: in `without`, keep `up`."""
    x = world(0, N)
    score = np.clip(0.5 + 0.2 * x[:, 0], 0.0, 1.0)
    joint = joint_of(profile_of({**cells(x), "score": score}, SETTINGS))
    left = joint.without(BESIDE)
    assert left is not None
    asked = [bool(w.up or w.down) for w in left.witnesses]
    assert asked == ["score" not in group for group in joint.groups] and 0 < sum(asked) < len(asked)
    assert joint.without({name for group in joint.groups for name in group}) is None


def test_too_few_spans_silence_it() -> None:
    few = joint_of(anew(world(1, 20 * SPAN * PER_PANE)))
    assert "20 spans of time" in few.why_not


def test_a_person_is_told_of_the_bound() -> None:
    """Mutation: no `remark` in `explain`."""
    remarks = [m.remark for stream in explain(rolled(), SETTINGS).streams for m in stream.monitors if m.remark]
    assert len(remarks) == 1 and "worst laws" in remarks[0]
    assert not [m.remark for stream in explain(original(), SETTINGS).streams for m in stream.monitors if m.remark]


def test_it_travels() -> None:
    """Without laws: smaller."""
    data = encode_profile(rolled())
    assert joint_of(decode_profile(data)) == joint_of(rolled())
    assert len(data) < len(encode_profile(original()))
