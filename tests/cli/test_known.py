"""Commands that name a model: one that is not there is said to be, with what may have been meant."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from driftline.cli import app
from driftline.cli.known import Known
from driftline.errors import Misconfigured, Transient
from driftline.react.state import Model, State, Version
from driftline.registry import Standing
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import profile_of


@pytest.fixture(scope="module")
def profile() -> Profile:
    return profile_of({"features.x": np.random.default_rng(1).normal(size=1_000)}, DetectionSettings())


def known_of(profile: Profile, *unread: str) -> Known:
    """React has heard of fraud 7; churn has references 1 and 2, and `gone` was reset."""
    later = msgspec.structs.replace(profile, judged_from=profile.judged_from + 1)
    react = State(models={"": Model(""), "fraud": Model("fraud", {"7": Version(seen=1)})})
    profiles = {("churn", "1"): later, ("churn", "2"): profile}
    standings = {key: Standing(profiles=(held,)) for key, held in profiles.items()}
    return Known(react, {**standings, ("gone", "1"): Standing(profiles=(profile,), void=99)}, list(unread))


def test_what_is_there_is_taken_and_its_version_found(profile: Profile) -> None:
    """Mutation: `None` from `Known.meant`: react would decline one that it has forgotten."""
    there = known_of(profile)
    for model, version in (("fraud", None), ("fraud", "7"), ("churn", "2"), ("churn", None)):
        there.check(model, version)
    assert (there.meant("fraud"), there.meant("churn")) == (None, "1")


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("frau", None, "is called 'frau'; did you mean fraud?"),
        ("zzz", None, "is called 'zzz'; `driftline status` lists all"),
        ("gone", None, "is called 'gone'"),
        ("", None, "is called ''"),
        ("fraud", "8", "fraud has no version '8'; its last versions are 7"),
        ("churn", "11", "churn has no version '11'; did you mean 1?"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    profile: Profile, model: str, version: str | None, said: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        known_of(profile).check(model, version)
    assert said in str(caught.value)


def test_before_the_first_model_that_is_said() -> None:
    with pytest.raises(Misconfigured, match="none is known yet"):
        Known(State(), {}).check("m", None)


def test_where_the_store_cannot_be_read_nothing_is_refused(profile: Profile) -> None:
    """Mutation: no `if self.unread` in `Known.check`."""
    known_of(profile, "the store is away").check("zzz", None)


def test_where_all_is_away_that_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused for want of a look, and nothing is said to be asked."""

    async def away(config: object) -> Known:
        return Known(None, None, ["the store does not answer"])

    async def fails(call: object) -> None:
        raise Transient("the broker does not answer")

    monkeypatch.setattr("driftline.cli.retrain.known", away)
    monkeypatch.setattr("driftline.cli.retrain.patiently", fails)
    done = CliRunner(env={"DRIFTLINE_CONFIG": None}).invoke(app, ["retrain", "m"])
    assert done.exit_code == 2
    assert "whether there is such a model could not be checked: the store does not answer" in done.stderr
    assert "the broker does not answer" in done.stderr and "asked" not in done.stdout
