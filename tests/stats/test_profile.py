"""Profiles: named by their content, exact through JSON, refused when damaged or too new."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.profile import PROFILE_VERSION, Profile, decode_profile, encode_profile, with_pairs
from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings
from stats.worlds import PANE, profile_of, rows_of

SETTINGS = DetectionSettings()


def make() -> Profile:
    rng = np.random.default_rng(1)
    city: list[str | None] = [("Oslo", "Bergen", None)[i] for i in rng.integers(0, 3, 4_000)]
    return profile_of({"features.x": rng.lognormal(size=4_000), "features.city": city}, SETTINGS)


def test_round_trip_is_exact() -> None:
    profile = make()
    again = decode_profile(encode_profile(profile))
    assert again == profile
    assert again.predictions.fingerprint == profile.predictions.fingerprint
    assert make().id == profile.id


def test_a_revision_adds_pairs_and_changes_nothing_else() -> None:
    profile = make()
    errors = (np.random.default_rng(2).random(4_000) < 0.1).astype(np.float64)
    later = with_pairs(profile, learn_section("pairs", rows_of({"error": errors}), PANE, SETTINGS))
    assert (later.revision, later.predictions) == (2, profile.predictions)
    assert later.id != profile.id
    with pytest.raises(ValueError, match="panes of"):
        with_pairs(profile, learn_section("pairs", rows_of({"error": errors}), 10 * PANE, SETTINGS))


def test_faults_c28_damaged_and_newer_profiles_are_refused() -> None:
    """C28. Mutation: leave the comparison of ids out of `decode_profile`."""
    data = encode_profile(make())
    with pytest.raises(StateCorrupt, match="another's"):
        decode_profile(encode_profile(msgspec.structs.replace(make(), judged_from=7)))
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises(StateCorrupt):
            decode_profile(data[:cut])
    with pytest.raises(StateTooNew):
        decode_profile(msgspec.json.encode({"v": PROFILE_VERSION + 1, "what": "is this"}))


def test_two_hundred_features_fit_a_record() -> None:
    """1 MB is what a broker takes; ten columns stand for two hundred, of which `test_joint` has the whole.

    Mutation: leave `zlib.compress` out of `encode_profile`."""
    rng = np.random.default_rng(1)
    alone = msgspec.structs.replace(SETTINGS, multivariate=False)
    profile = profile_of({f"features.f{i}": rng.lognormal(size=4_000) for i in range(10)}, alone)
    data = encode_profile(profile)
    assert 20 * len(data) < 700_000
    head = msgspec.json.decode(data.partition(b"\n")[0])
    assert (head["id"], head["model"], head["revision"]) == (profile.id, "m", 1)
