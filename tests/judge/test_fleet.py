"""Who shares a fleet's budget: what is judged now, not what was ever watched."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.cli.status import show
from driftline.judge.model import ModelState
from driftline.judge.rebaseline import DAY_MS
from driftline.judge.stage import is_watched
from driftline.runtime.store import JoinTotals
from driftline.stats.settings import DetectionSettings
from driftline.status import ModelStatus, Status
from stats.worlds import profile_of


def test_a_version_that_was_replaced_leaves_the_fleet_a_day_later() -> None:
    """Mutations: `return model.profile is not None`; `model.last_judged` alone: what has just learnt is not judged
    yet."""
    settings = DetectionSettings()
    state = ModelState("m", "1", settings)
    assert not is_watched(state, 0)
    state.profile = profile_of({"features.x": np.random.default_rng(1).normal(size=2_000)}, settings)
    since = state.profile.judged_from
    assert is_watched(state, since)
    state.last_judged = since + 10 * DAY_MS
    assert is_watched(state, since + 11 * DAY_MS - 1)
    assert not is_watched(state, since + 11 * DAY_MS)


def model_of(version: str, *, watched: bool) -> ModelStatus:
    return ModelStatus("m", version, "p", 1, "learnt", "", 9, 0, 0, 0, [], 1, [], None, [], watched)


@pytest.mark.parametrize(("named", "said"), [(2, True), (3, False), (None, False)])
def test_status_says_that_more_share_the_budget_than_it_is_for(
    named: int | None, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four versions three are judged. Mutation: `len(found.models)` for those watched, in `cli/status.py`."""
    models = [model_of(str(i), watched=i > 0) for i in range(4)]
    show(Status([], models, {}, JoinTotals(0, 0, 0, 0, 0), None, 0, 0, named))
    told = " ".join(capsys.readouterr().err.split())
    assert ("3 model versions share a budget of false alarms that is for 2" in told) == said
    assert ("up to 1.5 times as many may come" in told) == said
