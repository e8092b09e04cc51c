"""What columns do together: a correlation that changes is found while no column alone has moved."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.errors import StateCorrupt
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays
from driftline.stats.common_causes import Moved, group, rank
from driftline.stats.explain import explain
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, decode_profile, encode_profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import PER_PANE, Cells, judge, panes_of, profile_of

SETTINGS = DetectionSettings(season="none")
N = 20_000


def world(seed: int, n: int, rho: float, columns: int = 20) -> NDArray[np.float64]:
    """Normal columns, of which 0 and 1 correlate; column 2 is skewed."""
    x = np.random.default_rng(seed).normal(size=(n, columns))
    x[:, 1] = rho * x[:, 0] + np.sqrt(1.0 - rho * rho) * x[:, 1]
    x[:, 2] = np.exp(x[:, 2])
    return np.asarray(x)


def cells(x: NDArray[np.float64]) -> dict[str, Cells]:
    return {f"features.f{i:02}": x[:, i] for i in range(x.shape[1])}


@cache
def reference(columns: int = 20) -> Profile:
    return profile_of(cells(world(0, N, 0.8, columns)), SETTINGS)


def judged(
    profile: Profile, x: NDArray[np.float64], monitors: ModelMonitors | None = None
) -> list[tuple[int, Change]]:
    """(events seen, change)"""
    monitors = monitors or ModelMonitors(profile, SETTINGS)
    found = judge(monitors, "predictions", panes_of(profile, "predictions", cells(x)))
    return [((pane + 1) * PER_PANE, change) for pane, change in found]


def test_a_correlation_that_flips_while_every_margin_stays() -> None:
    """Mutations: `log_thresholds[-1]` of the joint monitor inf; sums of the joint monitor never added to."""
    quiet, flipped = world(1, 5_000, 0.8), world(2, 5_000, -0.8)
    found = judged(reference(), np.concatenate([quiet, flipped]))
    assert [change.monitor for _, change in found] == ["features:joint"]
    events, change = found[0]
    assert 5_000 < events <= 5_500
    assert change.onset == reference().judged_from + 50 * 60_000
    assert change.effect is not None and change.evidence is not None
    assert change.effect.reference == pytest.approx(0.8, abs=0.05)
    assert change.effect.current.low < -0.75 and change.effect.current.high < 0.0
    assert change.sentence.startswith(
        "features.f00 and features.f01 have changed the way they go together: as if their rank correlation had gone "
        "from 0."
    )
    assert change.evidence.log_evidence >= change.evidence.log_threshold


@pytest.mark.parametrize(("rho", "within"), [(0.5, 1_000), (0.7, 8_000)])
def test_smaller_changes_take_longer(rho: float, within: int) -> None:
    found = judged(reference(), world(3, within, rho))
    assert [change.monitor for _, change in found] == ["features:joint"]


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_changes_nothing_is_said(seed: int) -> None:
    assert judged(reference(), world(10 + seed, 40_000, 0.8)) == []


def test_what_goes_back_is_resolved() -> None:
    back = np.concatenate([world(2, 3_000, -0.8), world(4, 20_000, 0.8)])
    found = judged(reference(), back)
    assert [change.state for _, change in found] == ["alarm", "resolved"]
    assert "go together as they did" in found[1][1].sentence
    assert found[1][1].onset == pytest.approx(reference().judged_from + 30 * 60_000, abs=120_000)


@pytest.mark.parametrize("shift", [0.15, 0.4, 1.0])
def test_a_column_that_moves_alone_is_told_of_once(shift: float) -> None:
    """Mutation: `alone` empty."""
    moved = world(5, 10_000, 0.8)
    moved[:, 3] += shift
    moved = np.concatenate([moved, world(6, 10_000, 0.8)])
    found = [change for _, change in judged(reference(), moved)]
    assert [(change.monitor, change.state) for change in found if "quality" not in change.monitor] == [
        ("features.f03:distribution", "alarm"),
        ("features.f03:distribution", "resolved"),
    ]


def test_what_others_do_together_is_found_beside_it() -> None:
    moved = world(2, 5_000, -0.8)
    moved[:, 3] += 1.0
    monitors = ModelMonitors(reference(), SETTINGS)
    judged(reference(), moved, monitors)
    told = {one.monitor for group in monitors.moved() for one in group}
    assert told == {"features.f03:distribution", "features:joint"}


def test_rank_behind_what_explains_it() -> None:
    joint = Moved("features:joint", 0, 99.0, ("a", "b"))
    alone, other = Moved("b:distribution", 0, 10.0), Moved("c:distribution", 0, 50.0)
    assert rank([joint, alone, other], {}) == [other, alone, joint]
    assert rank([joint, other], {}) == [joint, other]
    assert group(rank([joint, alone, other], {}), [], 0) == [[other], [alone, joint]]


def test_state_goes_on_bit_for_bit() -> None:
    """Mutation: `n` left out of `JointRules.to_state`."""
    settings = msgspec.structs.replace(SETTINGS, coalesce=250)
    profile = profile_of(cells(world(0, N, 0.8)), settings)
    panes = panes_of(profile, "predictions", cells(np.concatenate([world(1, 1_000, 0.8), world(2, 2_000, 0.0)])))
    whole, parts = ModelMonitors(profile, settings), ModelMonitors(profile, settings)
    expected, found = [], []
    for pane in panes:
        expected += judge(whole, "predictions", [pane])
        found += judge(parts, "predictions", [pane])
        parts = ModelMonitors.from_bytes(profile, settings, parts.to_bytes())
        assert parts.to_bytes() == whole.to_bytes()
    assert found == expected and len(found) == 1


def test_state_of_another_shape_is_refused() -> None:
    monitors = ModelMonitors(reference(), SETTINGS)
    joint = monitors.streams["predictions"].joint
    assert joint is not None
    with pytest.raises(StateCorrupt):
        joint.restore({**joint.to_state(), "sums": np.zeros(3, np.int64)})


def test_columns_that_hardly_vary() -> None:
    """One other value in all of the reference. Mutation: `FLAT` 0."""
    x = np.zeros((5_000, 8))
    x[0, 0] = x[7, 1] = 1.0
    profile = profile_of(cells(x), SETTINGS)
    assert profile.predictions.joint is not None
    assert not any(witness.up or witness.down for witness in profile.predictions.joint.witnesses)
    assert judged(profile, np.zeros((3_000, 8))) == []


def test_by_setting() -> None:
    off = msgspec.structs.replace(SETTINGS, multivariate=False)
    section = profile_of(cells(world(0, 5_000, 0.8)), off).predictions
    assert section.joint is None and section.grid.embedding is None
    assert section.grid.id != reference().predictions.grid.id


def test_a_column_that_must_not_page_silences_it() -> None:
    """A reference too short for its season says nothing of what columns do together either."""
    x = world(0, 5_000, 0.8)
    x[:, 3] += 3.0 * np.sin(np.arange(5_000) * 2.0 * np.pi / 5_000)
    section = profile_of(cells(x), DetectionSettings()).predictions
    assert section.joint is not None
    assert "season and drift" in section.joint.why_not


def test_explained_and_described() -> None:
    (stream,) = explain(reference(), SETTINGS).streams
    plan = stream.monitors[-1]
    assert plan.monitor == "features:joint" and plan.level is not None
    assert sum(monitor.weight for monitor in stream.monitors) == pytest.approx(1.0)
    status = ModelMonitors(reference(), SETTINGS).describe()[-1]
    assert (status.monitor, status.log_threshold) == ("features:joint", plan.level)


def test_size_of_a_profile_and_of_state() -> None:
    """200 features stay well below the 1 MB of a record."""
    profile = profile_of(cells(world(0, 5_000, 0.8, 200)), SETTINGS)
    data = encode_profile(profile)
    assert len(data) < 700_000
    assert decode_profile(data).id == profile.id
    joint = ModelMonitors(profile, SETTINGS).streams["predictions"].joint
    assert joint is not None
    assert len(pack_arrays(joint.to_state())) < 20_000
