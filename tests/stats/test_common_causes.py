"""Ranking and grouping: pure functions of what is in alarm."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from driftline.stats.common_causes import Moved, group, rank
from driftline.stats.monitors import ModelMonitors
from driftline.stats.settings import DetectionSettings
from stats.worlds import PANE, judge, panes_of, profile_of

A = Moved("features.a:distribution", 1_000, 30.0)
B = Moved("features.b:distribution", 1_050, 20.0)
C = Moved("features.c:distribution", 1_050, 10.0)
LATER = Moved("features.d:distribution", 9_000, 5.0)
MISSING = [Moved(f"features.m{i}:quality", 1_000, 15.0) for i in range(3)]


def test_ranked_by_evidence_and_importance() -> None:
    assert rank([C, A, B], {}) == [A, B, C]
    assert rank([A, B, C], {"features.c": 10.0, "features.*": 1.0}) == [C, A, B]


def test_one_upstream_column_is_one_group() -> None:
    """Tied through b, and at the same time. Mutation: `group_of[i] = new` alone in `group`."""
    tied = [("features.a", "features.b"), ("features.b", "features.c"), ("features.a", "features.d")]
    assert group([A, B, C, LATER], tied, 100) == [[A, B, C], [LATER]]
    assert group([A, C, B], tied, 100) == [[A, C, B]]
    assert group([A, B, C], [], 100) == [[A], [B], [C]]


def test_a_source_that_breaks_takes_columns_with_it() -> None:
    assert group([A, *MISSING], [], 100) == [[A], MISSING]


def test_the_order_of_arrival_does_not_matter() -> None:
    tied = [("features.a", "features.b"), ("features.b", "features.c")]
    wanted = group(rank([A, B, C, LATER], {}), tied, 100)
    for order in permutations([A, B, C, LATER]):
        assert group(rank(order, {}), tied, 100) == wanted


def test_monitors_tell_their_groups() -> None:
    """Two features of one source move together, a third by itself and later."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    columns = {
        "features.a": x,
        "features.b": 2.0 * x + 0.1 * rng.normal(size=20_000),
        "features.z": rng.normal(size=20_000),
    }
    profile = profile_of(dict(columns), DetectionSettings())
    monitors = ModelMonitors(profile, DetectionSettings())
    y = rng.normal(2.0, 1.0, 4_000)
    z = rng.normal(size=4_000)
    z[2_000:] += 3.0
    judge(
        monitors,
        "predictions",
        panes_of(profile, "predictions", {"features.a": y, "features.b": 2.0 * y, "features.z": z}),
    )
    groups = [[one.column for one in found if one.about == "distribution"] for found in monitors.moved()]
    assert sorted(sorted(names) for names in groups) == [["features.a", "features.b"], ["features.z"]]
    assert all(
        abs(one.onset - profile.judged_from - (20 * PANE if one.column == "features.z" else 0)) <= PANE
        for g in monitors.moved()
        for one in g
    )
