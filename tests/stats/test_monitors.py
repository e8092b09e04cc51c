"""Monitors of a model: the same checks for every pager, then what the calibrated detector alone promises."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.codec import pack, unpack
from driftline.stats.monitors import KIND, VERSION, Change, ModelMonitors
from driftline.stats.profile import Profile, with_pairs
from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings, Pager
from stats.worlds import (
    DAY_EVENTS,
    PANE,
    PER_PANE,
    Cells,
    Floats,
    autoregressive,
    judge,
    panes_of,
    profile_of,
    rows_of,
)

PAGERS: tuple[Pager, ...] = ("cbe", "adwin", "page_hinkley")
SETTINGS = DetectionSettings()


def by(pager: Pager) -> DetectionSettings:
    return DetectionSettings(features_pager=pager, errors_pager=pager)


def world(seed: int = 1) -> Profile:
    rng = np.random.default_rng(seed)
    city: list[str | None] = [("a", "b", "c")[i] for i in rng.integers(0, 3, 20_000)]
    reference: dict[str, Cells] = {"features.x": rng.normal(size=20_000), "features.c": city}
    errors = (rng.random(20_000) < 0.1).astype(np.float64)
    return profile_of(reference, SETTINGS, pairs={"error": errors})


WORLD = world()


def normal_panes(
    seed: int, n: int, shift: float = 0.0, *, after: int = 0, scale: float = 1.0
) -> list[tuple[int, PaneCounts]]:
    rng = np.random.default_rng(seed)
    city: list[str | None] = [("a", "b", "c")[i] for i in rng.integers(0, 3, n)]
    x = rng.normal(shift, scale, n)
    return panes_of(WORLD, "predictions", {"features.x": x, "features.c": city}, after=after)


def states(changes: list[tuple[int, Change]]) -> list[tuple[str, str]]:
    return [(change.monitor, change.state) for _, change in changes]


# Checks for every detector


@pytest.mark.parametrize("pager", PAGERS)
def test_verdicts_are_a_function_of_the_panes(pager: Pager) -> None:
    panes = [*normal_panes(2, 5_000), *normal_panes(3, 5_000, 0.5, after=50)]
    one, other = ModelMonitors(WORLD, by(pager)), ModelMonitors(WORLD, by(pager))
    assert judge(one, "predictions", panes) == judge(other, "predictions", panes)
    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("pager", PAGERS)
def test_serialise_then_continue(pager: Pager) -> None:
    """Bit for bit, in alarm and out of it. Mutation: keep `sum_w` as float64 in memory."""
    panes = [*normal_panes(2, 3_000), *normal_panes(3, 5_000, 0.7, after=30), *normal_panes(4, 9_000, after=80)]
    straight, broken = ModelMonitors(WORLD, by(pager)), ModelMonitors(WORLD, by(pager))
    told = []
    for start, counts in panes:
        told += straight.update("predictions", start, counts)
        data = broken.to_bytes()
        broken = ModelMonitors.from_bytes(WORLD, by(pager), data)
        assert broken.to_bytes() == data
        broken.update("predictions", start, counts)
    assert broken.to_bytes() == straight.to_bytes()
    assert "alarm" in {change.state for change in told}


@pytest.mark.parametrize("pager", PAGERS)
def test_blocks_merged_in_any_order_give_the_same_bytes(pager: Pager) -> None:
    panes = normal_panes(2, 4_000, 0.2)
    parts = normal_panes(9, 4_000, 0.1)
    one, other = ModelMonitors(WORLD, by(pager)), ModelMonitors(WORLD, by(pager))
    for (start, left), (_, right) in zip(panes, parts, strict=True):
        assert one.update("predictions", start, left.copy().merge(right)) == other.update(
            "predictions", start, right.copy().merge(left)
        )
    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("pager", PAGERS)
def test_a_shift_alarms_once_and_resolves_once(pager: Pager) -> None:
    """Half an SD for 40,000 events, then none. No second alarm while it lasts.

    Mutation: clear `alarm` in `raise_alarm` after starting the recovery."""
    monitors = ModelMonitors(WORLD, by(pager))
    assert judge(monitors, "predictions", normal_panes(2, 10_000)) == []
    found = judge(monitors, "predictions", normal_panes(3, 40_000, 0.5, after=100))
    assert states(found) == [("features.x:distribution", "alarm")]
    at, alarm = found[0]
    assert (at + 1) * PER_PANE <= (400 if pager == "cbe" else 12_000)
    assert alarm.evidence is not None
    assert alarm.evidence.detector == pager
    assert alarm.effect is not None
    assert alarm.effect.current.low < alarm.effect.current.high
    back = judge(monitors, "predictions", normal_panes(4, 40_000, after=500))
    assert states(back)[0] == ("features.x:distribution", "resolved")
    if pager == "cbe":
        assert states(back) == [("features.x:distribution", "resolved")]
        resolved = back[0][1]
        assert abs(resolved.onset - (WORLD.judged_from + 500 * PANE)) <= 10 * PANE


@pytest.mark.parametrize("pager", PAGERS)
def test_a_doubled_error_rate_is_found(pager: Pager) -> None:
    """.10 to .20. Page-Hinkley hears 0 and 1 with a threshold of 50: it takes its time."""
    rng = np.random.default_rng(5)
    monitors = ModelMonitors(WORLD, by(pager))
    before = panes_of(WORLD, "pairs", {"error": (rng.random(10_000) < 0.1).astype(np.float64)})
    after = panes_of(WORLD, "pairs", {"error": (rng.random(20_000) < 0.2).astype(np.float64)}, after=100)
    assert judge(monitors, "pairs", before) == []
    found = judge(monitors, "pairs", after)
    at, alarm = found[0]
    assert states(found[:1]) == [("error:rate", "alarm")]
    assert (at + 1) * PER_PANE <= {"cbe": 700, "adwin": 1_000, "page_hinkley": 3_000}[pager]
    assert alarm.severity == "critical"
    assert alarm.sentence.startswith("The error rate went from 10.")
    assert abs(alarm.onset - after[0][0]) <= 2 * PANE


@pytest.mark.parametrize("pager", PAGERS)
def test_other_shapes_and_orders_are_refused(pager: Pager) -> None:
    monitors = ModelMonitors(WORLD, by(pager))
    panes = normal_panes(2, 300)
    monitors.update("predictions", *panes[1])
    with pytest.raises(ValueError, match="after a later one"):
        monitors.update("predictions", *panes[0])
    with pytest.raises(ValueError, match="not the start"):
        monitors.update("predictions", panes[2][0] + 1, panes[2][1])
    with pytest.raises(ValueError, match="columns"):
        monitors.update("predictions", panes[2][0], PaneCounts.empty(3))
    with pytest.raises(ValueError, match="no reference"):
        monitors.update("other", *panes[2])


def test_faults_c28_states_of_others_are_refused() -> None:
    """C28. Mutation: leave the section's fingerprint out of `from_state`."""
    monitors = ModelMonitors(WORLD, SETTINGS)
    data = monitors.to_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(StateCorrupt):
            ModelMonitors.from_bytes(WORLD, SETTINGS, data[:cut])
    with pytest.raises(StateTooNew):
        ModelMonitors.from_bytes(WORLD, SETTINGS, pack(KIND, VERSION + 1, unpack(KIND, VERSION, data)[1]))
    with pytest.raises(StateCorrupt, match="another reference"):
        ModelMonitors.from_bytes(world(seed=2), SETTINGS, data)


def test_state_is_bounded() -> None:
    """The detector's part is one size for ever; windows and opinions level off."""
    monitors = ModelMonitors(WORLD, SETTINGS)
    judge(monitors, "predictions", normal_panes(2, 40_000))
    sizes = [len(monitors.to_bytes())]
    judge(monitors, "predictions", normal_panes(3, 40_000, after=400))
    sizes.append(len(monitors.to_bytes()))
    assert max(sizes) < 3 * 7_000
    assert sizes[1] - sizes[0] < 1_000


# What CBE promises

ARL_EVENTS = 10_000
STRICT = DetectionSettings(arl0_days=ARL_EVENTS / DAY_EVENTS)


def draw(law: str, seed: int, n: int) -> Floats:
    rng = np.random.default_rng(seed)
    match law:
        case "lognormal":
            return rng.lognormal(size=n)
        case "autoregressive":
            return autoregressive(rng, n, 0.5)
    return rng.normal(size=n)


def alarms(profile: Profile, settings: DetectionSettings, panes: list[tuple[int, PaneCounts]]) -> int:
    found = judge(ModelMonitors(profile, settings), "predictions", panes)
    return sum(change.state == "alarm" for _, change in found)


@pytest.mark.parametrize("law", ["normal", "lognormal", "autoregressive"])
def test_false_alarms_stay_within_the_budget(law: str) -> None:
    """One in 10,000 events allowed, 300,000 judged by two features: 30 at the most."""
    columns = ("features.x", "features.y")
    profile = profile_of({c: draw(law, i, 30_000) for i, c in enumerate(columns)}, STRICT)
    panes = panes_of(profile, "predictions", {c: draw(law, 10 + i, 300_000) for i, c in enumerate(columns)})
    assert alarms(profile, STRICT, panes) <= 300_000 // ARL_EVENTS


def test_a_small_reference_does_not_alarm_for_its_own_error() -> None:
    """The allowance: six references of 3,000 rows, each off by its own chance, 100,000 events judged by each. With
    one false alarm allowed in 500,000 there may be one.

    Mutation: eps = 0 in `_fit` (then all six alarm)."""
    settings = DetectionSettings(arl0_days=500_000 / DAY_EVENTS)
    total = 0
    for seed in range(6):
        profile = profile_of({"features.x": draw("normal", seed, 3_000)}, settings)
        panes = panes_of(profile, "predictions", {"features.x": draw("normal", 100 + seed, 100_000)})
        total += alarms(profile, settings, panes)
    assert total <= 1


def test_twenty_features_share_one_budget() -> None:
    """The weights v_j: 20 features, 100,000 events, 10 alarms at the most.

    Mutation: `weight = 1.0` in `_share_out`."""
    names = [f"features.f{i:02d}" for i in range(20)]
    profile = profile_of({c: draw("normal", i, 10_000) for i, c in enumerate(names)}, STRICT)
    panes = panes_of(profile, "predictions", {c: draw("normal", 50 + i, 100_000) for i, c in enumerate(names)})
    assert alarms(profile, STRICT, panes) <= 10
    for status in ModelMonitors(profile, STRICT).describe():
        share = 0.2 / 21 if status.monitor.endswith((":quality", ":duplicates")) else 0.8 / 21
        assert status.log_threshold == pytest.approx(math.log(STRICT.arl0_days / share))


def test_pane_effects_do_not_grow_with_traffic() -> None:
    """A pane effect of 5 % of the variance, learnt at 100 events a pane, judged at 1,000.

    Mutation: b = 0 in `_fit`."""
    rng = np.random.default_rng(1)

    def with_effects(panes: int, per: int) -> Floats:
        return np.repeat(rng.normal(0, 0.05**0.5, panes), per) + rng.normal(0, 0.95**0.5, panes * per)

    profile = profile_of({"features.x": with_effects(400, 100)}, STRICT)
    panes = panes_of(profile, "predictions", {"features.x": with_effects(1_000, 1_000)}, per=1_000)
    assert alarms(profile, STRICT, panes) <= 1_000 * PANE / 86_400_000 / STRICT.arl0_days


def test_the_budget_is_of_days_not_of_panes() -> None:
    """A tenth of the traffic, four times the panes a unit: ln M counts days.

    Mutation: dt = 1 a unit (`np.zeros` for the log of `days` in `_accumulate`)."""
    profile = profile_of({"features.x": draw("normal", 1, 30_000)}, SETTINGS)
    monitors = ModelMonitors(profile, SETTINGS)
    panes = panes_of(profile, "predictions", {"features.x": draw("normal", 2, 1_000)}, per=10)
    judge(monitors, "predictions", panes)
    status, *_ = monitors.describe()
    assert status.log_evidence < math.log(100 * PANE / 86_400_000) + 2.0
    assert status.log_threshold == pytest.approx(math.log(30.0 / 0.8))


def test_a_wider_spread_is_found() -> None:
    """SD x 1.25: no mean moves, ADWIN would never know."""
    monitors = ModelMonitors(WORLD, SETTINGS)
    found = judge(monitors, "predictions", normal_panes(7, 20_000, scale=1.25))
    at, alarm = found[0]
    assert (alarm.monitor, alarm.state) == ("features.x:distribution", "alarm")
    assert (at + 1) * PER_PANE <= 1_200


def test_what_is_smaller_than_the_allowance_never_pages() -> None:
    """G4 in small: .6 of min_effect, 100,000 events."""
    assert judge(ModelMonitors(WORLD, SETTINGS), "predictions", normal_panes(8, 100_000, 0.03)) == []


def test_categories_that_move_are_named() -> None:
    rng = np.random.default_rng(9)
    city: list[str | None] = [("a", "b", "new")[i] for i in rng.choice(3, 5_000, p=[0.36, 0.34, 0.3])]
    panes = panes_of(WORLD, "predictions", {"features.x": rng.normal(size=5_000), "features.c": city})
    (found,) = [c for _, c in judge(ModelMonitors(WORLD, SETTINGS), "predictions", panes) if ":dist" in c.monitor]
    assert found.effect is not None
    assert found.effect.witness in ("share of unseen categories", 'share of "c"')
    assert found.distances is not None
    assert found.distances.ks is None


def test_faults_d33_missing_values_are_counted_and_drift_is_still_found() -> None:
    """D33: a tenth of the values gone, and the rest shifted too.

    Mutation: leave `_MISSING` out of `asked` in `quality._ask`."""
    monitors = ModelMonitors(WORLD, SETTINGS)
    rng = np.random.default_rng(10)
    x = rng.normal(0.0, 1.0, 20_000)
    x[rng.random(20_000) < 0.1] = np.nan
    city: list[str | None] = [("a", "b", "c")[i] for i in rng.integers(0, 3, 20_000)]
    found = judge(monitors, "predictions", panes_of(WORLD, "predictions", {"features.x": x, "features.c": city}))
    assert states(found) == [("features.x:quality", "alarm")]
    effect = found[0][1].effect
    assert effect is not None
    assert effect.witness == "share of rows without a value"
    assert effect.current.value == pytest.approx(0.1, abs=0.05)
    shifted = ModelMonitors(WORLD, SETTINGS)
    found = judge(
        shifted,
        "predictions",
        panes_of(WORLD, "predictions", {"features.x": x[:5_000] + 1.0, "features.c": city[:5_000]}),
    )
    assert found[0][0] <= 3


# Streams and revisions


def test_a_revision_that_adds_pairs_keeps_what_is_watched() -> None:
    """Evidence goes on to the bit; the budget is shared anew: half to the error."""
    alone = msgspec.structs.replace(WORLD, pairs=None)
    monitors = ModelMonitors(alone, SETTINGS)
    judge(monitors, "predictions", normal_panes(2, 5_000))
    before = {s.monitor: s for s in monitors.describe()}
    assert WORLD.pairs is not None
    later = with_pairs(alone, WORLD.pairs)
    restored = ModelMonitors.from_bytes(later, SETTINGS, monitors.to_bytes())
    monitors.adopt(later)
    assert monitors.to_bytes() == restored.to_bytes()
    after = {s.monitor: s for s in monitors.describe()}
    assert after["error:rate"].log_threshold == pytest.approx(math.log(30.0 / 0.5))
    for name, status in before.items():
        assert after[name].log_evidence == status.log_evidence
        before_pairs, beside = (
            (0.2 / 3, 0.1 / 3) if name.endswith((":quality", ":duplicates")) else (0.8 / 3, 0.4 / 3)
        )
        assert status.log_threshold == pytest.approx(math.log(30.0 / before_pairs))
        assert after[name].log_threshold == pytest.approx(math.log(30.0 / beside))
    with pytest.raises(ValueError, match="another predictions reference"):
        monitors.adopt(world(seed=2))


def test_the_first_pane_counts_from_where_judging_begins() -> None:
    half = msgspec.structs.replace(WORLD, judged_from=WORLD.judged_from + PANE // 2)
    monitors = ModelMonitors(half, SETTINGS)
    stream = monitors.streams["predictions"]
    panes = normal_panes(2, 200)
    monitors.update("predictions", WORLD.judged_from - PANE, panes[0][1])
    assert stream.judged.tolist() == [0, 0, 0, 0]
    few = fold_rows(WORLD.predictions.grid, rows_of({"features.x": np.zeros(5)}))[0]
    monitors.update("predictions", panes[0][0], few)
    assert stream.units.ms.tolist() == [PANE // 2] * 4
    monitors.update("predictions", *panes[1])
    assert stream.judged.tolist() == [100, 105, 105, 105]
    assert stream.detector.log_r[0, 0, 0] < math.log(1.5 * PANE / 86_400_000) + 3.0


def test_a_reference_too_short_never_pages() -> None:
    profile = profile_of({"features.x": draw("normal", 1, 2_900)}, SETTINGS)
    monitors = ModelMonitors(profile, SETTINGS)
    panes = panes_of(profile, "predictions", {"features.x": draw("normal", 2, 5_000) + 5.0})
    assert judge(monitors, "predictions", panes) == []
    for status in monitors.describe():
        assert "29 panes" in status.why_not
        assert status.log_threshold == math.inf


def test_sparse_columns_are_judged_all_the_same() -> None:
    """90 % missing in the reference, then never there again: a unit ends after twice the usual rows.

    Mutation: `due` without `most_rows` in `_judge`."""
    rng = np.random.default_rng(1)

    def sparse(n: int, share: float) -> Floats:
        return np.where(rng.random(n) < share, rng.normal(size=n), np.nan)

    profile = profile_of({"features.x": sparse(100_000, 0.1)}, SETTINGS)
    panes = panes_of(profile, "predictions", {"features.x": sparse(40_000, 0.0)})
    found = judge(ModelMonitors(profile, SETTINGS), "predictions", panes)
    assert [(c.monitor, c.effect.witness) for _, c in found if c.effect] == [
        ("features.x:quality", "share of rows without a value")
    ]


def test_settings_that_make_no_sense_are_refused() -> None:
    for bad in ({"arl0_days": 0.0}, {"min_effect_sd": math.nan}, {"coalesce": 0}, {"min_rate_effect": 1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            msgspec.convert(bad, DetectionSettings)
    with pytest.raises(ValueError, match="8 or more"):
        DetectionSettings(min_reference_panes=7)


def test_a_model_without_columns_is_quiet() -> None:
    rng = np.random.default_rng(1)
    only_delay = {"label_delay_s": rng.exponential(size=5_000)}
    profile = profile_of({"features.x": draw("normal", 1, 5_000)}, SETTINGS)
    profile = with_pairs(profile, learn_section("pairs", rows_of({**only_delay}), PANE, SETTINGS))
    monitors = ModelMonitors(profile, SETTINGS)
    assert judge(monitors, "pairs", panes_of(profile, "pairs", {**only_delay})) == []
    assert ModelMonitors.from_bytes(profile, SETTINGS, monitors.to_bytes()).to_bytes() == monitors.to_bytes()
