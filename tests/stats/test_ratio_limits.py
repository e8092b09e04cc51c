"""Limits on a ratio between segments: exact at the limit, found beyond it, in blocks as in rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import orjson
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.stats import binom

from driftline.contracts.events import Prediction
from driftline.ingest.columns import BlockMaker, FeatureColumns, prediction_rows
from driftline.react.notify.hiding import hidden_text
from driftline.stats.block import PaneCounts, add_block
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limits
from driftline.stats.profile import Profile, make_profile
from driftline.stats.ratio_limits import RatioLimit
from driftline.stats.reference import learn_section
from driftline.stats.segments import MOST, OTHERS, SHARES, crossed, crossed_categories, groups_of
from driftline.stats.settings import DetectionSettings
from driftline.stats.share_ratio import BETTER, WORSE, ShareRatio, _evidence

Floats = NDArray[np.float64]

PANE = 60_000
PER = 100
RULE = LimitRule(metric="positive_rate_ratio", segment="sex", at_least=0.8, min_count=100)
DECIDED = SHARES[RULE.metric]
SETTINGS = DetectionSettings(arl0_events=20_000.0, limits=(RULE,), season="none", multivariate=False)


def ratio_of(shares: list[float], rows: int = 5_000) -> ShareRatio:
    n = np.full(len(shares), float(rows))
    return ShareRatio(0.8, np.array(shares) * n, n)


@pytest.mark.parametrize(("na", "nb"), [(10, 10), (12, 25), (30, 10)])
@pytest.mark.parametrize("bound", [0.5, 0.8, 0.95])
def test_evidence_is_none_at_or_within_the_limit_whatever_the_base_rate(na: int, nb: int, bound: float) -> None:
    """Every outcome of a block, weighted by its probability. Mutation: in `_evidence`, the nearest for blocks of
    equal sizes."""
    held = [[[ka, na], [kb, nb]] for ka, kb in itertools.product(range(na + 1), range(nb + 1))]
    block = np.array(held, np.float64)
    for past in ([[3, 10], [5, 10]], [[50, 2_000], [1_900, 2_000]], [[900, 1_000], [10, 1_000]]):
        before = np.repeat(np.array([past], np.float64), len(block), axis=0)
        worse, better = (np.exp(_evidence(block, before, bound, factors)) for factors in (WORSE, BETTER))
        for pb, off in itertools.product((0.01, 0.1, 0.5, 0.9), (1.0, 1.05, 2.0)):
            at = binom.pmf(np.arange(nb + 1), nb, pb)
            within = np.outer(binom.pmf(np.arange(na + 1), na, min(bound * pb * off, 1.0)), at).ravel()
            beyond = np.outer(binom.pmf(np.arange(na + 1), na, bound * pb / off), at).ravel()
            assert (within @ worse <= 1.0 + 1e-9).all() and (beyond @ better <= 1.0 + 1e-9).all()


def heard(it: ShareRatio, shares: list[float], panes: int, seed: int, threshold: float) -> int | None:
    """Rows until the first alarm."""
    rng = np.random.default_rng(seed)
    groups = len(shares)
    for i in range(panes):
        n = rng.multinomial(PER, np.full(groups, 1.0 / groups))
        it.hear(rng.binomial(n, shares), n, 1.0, i * PANE, float(PER))
        if it.evidence >= threshold:
            return (i + 1) * PER
    return None


def test_at_the_limit_the_false_alarms_are_within_the_budget() -> None:
    """One in 5,000 rows asked for, and no clock but that of rows. Mutation: `3.0 * nats` in `_close`."""
    runs = [heard(ratio_of([0.4, 0.5]), [0.4, 0.5], 1_000, seed, math.log(5_000.0)) for seed in range(40)]
    rows = [100_000 if run is None else run for run in runs]
    alarms = sum(run is not None for run in runs)
    assert alarms <= sum(rows) / 5_000 * 1.3


@pytest.mark.parametrize(("share", "most"), [(0.35, 5_000), (0.3, 1_500), (0.2, 600)])
def test_beyond_it_is_found_also_when_it_was_kept_for_long(share: float, most: int) -> None:
    delays = []
    for seed in range(9):
        it = ratio_of([0.5, 0.5])
        assert heard(it, [0.5, 0.5], 300, seed, math.log(20_000.0)) is None
        delays.append(heard(it, [share, 0.5], 300, 100 + seed, math.log(20_000.0)) or math.inf)
    assert float(np.median(delays)) <= most


def test_alternatives_rest_on_blocks_before() -> None:
    """Else a block would choose what it is held against. Mutation: add `block` to `past` in `hear`."""
    it, rows = ratio_of([0.5, 0.5], 20), np.array([40, 60])
    past = it.past.copy()
    for positive in ([4, 30], [40, 1]):
        it.hear(np.array(positive), rows, 1.0, 0, 7.0)
    block = np.array([[[4, 40], [30, 60]], [[30, 60], [4, 40]]], np.float64)
    first = math.log(7.0) + _evidence(block, past, 0.8, WORSE)
    block = np.array([[[40, 40], [1, 60]], [[1, 60], [40, 40]]], np.float64)
    past += np.array([[[4, 40], [30, 60]], [[30, 60], [4, 40]]])
    assert it.log_r == pytest.approx(np.logaddexp(math.log(7.0), first) + _evidence(block, past, 0.8, WORSE))


def test_a_base_rate_that_moves_is_followed() -> None:
    """Half of all were positive in the reference, a tenth is since. Mutation: `past` never added to."""
    delays = []
    for seed in range(5):
        it = ratio_of([0.5, 0.5])
        assert heard(it, [0.1, 0.1], 200, seed, math.log(20_000.0)) is None
        delays.append(heard(it, [0.05, 0.1], 300, 100 + seed, math.log(20_000.0)) or math.inf)
    assert float(np.median(delays)) <= 3_500


def test_any_pair_of_groups_and_either_way_round() -> None:
    for shares in ([0.5, 0.5, 0.3], [0.3, 0.5, 0.5], [0.5, 0.3, 0.5]):
        it = ratio_of([0.5, 0.5, 0.5])
        assert heard(it, shares, 100, 3, math.log(20_000.0)) is not None
        assert it.pairs[it.leader, 0] == shares.index(0.3)


# The limit in its surroundings: events, blocks, profile, monitors.


def event(i: int, sex: str | None, positive: bool | None, at: int) -> Prediction:
    segments = None if sex is None else {"sex": sex, "region": str(i % 7)}
    features = orjson.dumps({"x": float(i % 13)})
    return Prediction(
        id=str(i), model="m", version="1", time=at, features=features, prediction=positive, segments=segments
    )


def events_of(shares: dict[str | None, float], n: int, *, start: int = 0, seed: int = 0) -> list[Prediction]:
    rng = np.random.default_rng(seed)
    names = list(shares)
    found = []
    for i in range(n):
        name = names[int(rng.integers(len(names)))]
        found.append(event(i, name, bool(rng.random() < shares[name]), start + i * PANE // PER))
    return found


def profile_of(events: list[Prediction], settings: DetectionSettings = SETTINGS) -> Profile:
    rows = prediction_rows(events, FeatureColumns(None), True, ("sex",))
    section = learn_section("predictions", rows, PANE, settings)
    end = (events[-1].time // PANE + 1) * PANE
    return make_profile(model="m", version="1", source="training", created=0, judged_from=end, predictions=section)


REFERENCE = profile_of(events_of({"F": 0.5, "M": 0.5, None: 0.5}, 12_000))


def panes(profile: Profile, *parts: list[Prediction], limits: tuple[LimitRule, ...] = (RULE,)) -> list[PaneCounts]:
    """Through the blocks, by time."""
    grid = profile.predictions.grid
    found: dict[int, PaneCounts] = {}
    maker = BlockMaker(limits=limits)
    for part in parts:
        ((_, blocks, _),) = maker.predictions({("m", "1"): part}, {("m", "1"): [profile]})
        for block in blocks:
            add_block(found.setdefault(block.pane, PaneCounts.empty(len(grid.columns), grid.joint)), block, grid)  # type: ignore[union-attr, arg-type]
    return [counts for _, counts in sorted(found.items())]


def judged(limits: Limits, counts: list[PaneCounts], first: int = 0) -> list[tuple[int, Change]]:
    changes = []
    for i, pane in enumerate(counts):
        start = REFERENCE.judged_from + (first + i) * PANE
        changes += [(first + i, change) for change in limits.update(start, start + PANE, pane)]
    return changes


def drifting(seed: int = 1) -> list[PaneCounts]:
    """50 quiet panes, 50 in which women get three fifths of what men get, 150 quiet ones."""
    start, parts = REFERENCE.judged_from, []
    for k, (share, n) in enumerate(((0.5, 5_000), (0.3, 5_000), (0.5, 15_000))):
        parts += events_of({"F": share, "M": 0.5, None: 0.1}, n, start=start, seed=seed + k)
        start = parts[-1].time + PANE // PER
    return panes(REFERENCE, parts)


def test_a_broken_limit_is_told_with_both_groups_and_resolved() -> None:
    """Mutations: leave `segment` out of `LimitRule.subject`; `since` out of `RatioLimit.starts`."""
    limits = Limits(REFERENCE.predictions, SETTINGS)
    (raised, alarm), (ended, resolved) = judged(limits, drifting())
    assert 50 < raised < 75 and 100 < ended < 200
    assert (alarm.monitor, alarm.state, alarm.severity) == (
        "segments.sex:positive_rate_ratio >= 0.8",
        "alarm",
        "error",
    )
    assert alarm.effect is not None and alarm.evidence is not None
    assert alarm.effect.witness == 'positive rate of "F" over that of "M"'
    assert alarm.effect.current.low < 0.6 < alarm.effect.current.high < 0.8
    assert 40 <= (alarm.onset - REFERENCE.judged_from) / PANE <= 55
    assert "of at least 0.8: " in alarm.sentence and 'with "F" against' in alarm.sentence
    assert '"' not in hidden_text(alarm.sentence) + hidden_text(alarm.effect.witness)
    assert alarm.evidence.rows == PER * (raised + 1 - (alarm.onset - REFERENCE.judged_from) // PANE)
    assert alarm.evidence.n < alarm.evidence.rows
    assert resolved.state == "resolved" and resolved.effect is not None
    assert resolved.effect.current.value > 0.8
    (line,) = limits.describe()
    assert line.startswith("segments.sex:positive_rate_ratio >= 0.8: so far F ")


def test_where_no_ratio_changes_nothing_is_said() -> None:
    """Base rate and the sizes of groups move; what has no segment is nobody's."""
    start = REFERENCE.judged_from
    quiet = events_of({"F": 0.2, "M": 0.2, None: 0.9}, 20_000, start=start, seed=7)
    assert judged(Limits(REFERENCE.predictions, SETTINGS), panes(REFERENCE, quiet)) == []


def test_the_decisions_are_no_monitor_and_cost_no_budget() -> None:
    """Mutation: no `startswith(PREFIX)` in `unwatched`."""
    section = REFERENCE.predictions
    assert "segments.sex" in section.grid.index
    assert not [name for name, _ in section.paging if "segments" in name]


def test_without_the_limit_blocks_hold_no_decisions_and_nothing_is_missed() -> None:
    """The reference has the column, and events no longer do. Mutation: `unwatched` False in `SchemaRules`."""
    from driftline.stats.monitors import ModelMonitors

    plain = DetectionSettings(season="none", multivariate=False)
    monitors, found = ModelMonitors(REFERENCE, plain), []
    start = REFERENCE.judged_from
    quiet = events_of({"F": 0.5, "M": 0.5, None: 0.5}, 10_000, start=start, seed=8)
    for i, counts in enumerate(panes(REFERENCE, quiet, limits=())):
        found += monitors.update("predictions", start + i * PANE, counts)
    assert found == []


def test_a_limit_that_is_new_waits_for_a_reference_that_counts() -> None:
    """And what blocks could count is no feature that has appeared. Mutation: no `startswith(SEGMENTS)` in `_extras`."""
    rows = prediction_rows(events_of({"F": 0.5, "M": 0.5}, 5_000), FeatureColumns(None), True)
    section = learn_section("predictions", rows, PANE, SETTINGS)
    profile = make_profile(model="m", version="1", source="training", created=0, judged_from=0, predictions=section)
    counts = panes(profile, events_of({"F": 0.5, "M": 0.5}, 500))
    assert not any(pane.extra for pane in counts)
    limits = Limits(section, SETTINGS)
    assert judged(limits, counts) == []
    assert limits.describe() == [f"{RULE.monitor}: not judged: the reference has no column segments.sex"]


def test_dependent_rows_count_for_less() -> None:
    """Decisions in runs of twenty. Mutation: `row_worth` 1."""
    runs = events_of({"F": 0.5, "M": 0.5}, 12_000)
    together = [
        event(i, "F" if i // 20 % 2 else "M", runs[i // 20].prediction == 1, one.time) for i, one in enumerate(runs)
    ]
    profile = profile_of(together)
    limits = Limits(profile.predictions, SETTINGS)
    judged(limits, panes(profile, events_of({"F": 0.5, "M": 0.5}, 200, start=profile.judged_from)))
    (limit,) = limits.limits
    assert isinstance(limit, RatioLimit)
    assert limit.row_worth < 0.2


def test_one_group_is_no_ratio() -> None:
    profile = profile_of(events_of({"F": 0.5}, 5_000))
    limits = Limits(profile.predictions, SETTINGS)
    assert "fewer than two values of sex" in limits.describe()[0]
    assert Limits.from_state(profile.predictions, SETTINGS, limits.to_state()).in_alarm == []


def test_restored_it_goes_on_bit_for_bit() -> None:
    """Mutation: "past" out of `_FIELDS`."""
    straight, broken = (Limits(REFERENCE.predictions, SETTINGS) for _ in range(2))
    said = []
    for i, counts in enumerate(drifting()):
        said += judged(straight, [counts], i)
        assert judged(broken, [counts], i) == said[len(said) - (said[-1:] != [] and said[-1][0] == i) :]
        state = unpack_arrays(pack_arrays(broken.to_state()))
        broken = Limits.from_state(REFERENCE.predictions, SETTINGS, state)
        assert pack_arrays(broken.to_state()) == pack_arrays(straight.to_state())
    assert len(said) == 2


def test_in_alarm_it_stays_under_another_reference_of_the_same_grid() -> None:
    """Mutation: no limits in `ModelMonitors.succeeded`."""
    from driftline.stats.monitors import ModelMonitors

    monitors, counts = ModelMonitors(REFERENCE, SETTINGS), drifting()
    start = REFERENCE.judged_from
    for i, pane in enumerate(counts[:90]):
        monitors.update("predictions", start + i * PANE, pane)
    assert RULE.monitor in monitors.broken_limits()
    later = replace(REFERENCE, revision=2, judged_from=start + 90 * PANE)
    assert monitors.succeeded(later).broken_limits() == [RULE.monitor]
    assert ModelMonitors(later, SETTINGS).broken_limits() == []


def test_a_limit_taken_out_while_broken_is_resolved() -> None:
    limits = Limits(REFERENCE.predictions, SETTINGS)
    counts = drifting()
    raised = judged(limits, counts)[0][0]
    limits = Limits(REFERENCE.predictions, SETTINGS)
    judged(limits, counts[: raised + 1])
    none = DetectionSettings(season="none", multivariate=False)
    after = Limits.from_state(REFERENCE.predictions, none, limits.to_state())
    assert [(c.monitor, c.state) for _, c in judged(after, counts[:1], raised + 1)] == [(RULE.monitor, "resolved")]


def test_small_groups_are_others() -> None:
    """Mutation: no `rest`."""
    names = [f"g{i}" for i in range(MOST + 3)]
    categories = [crossed(name, what) for name in names for what in "+-"]
    counts = np.zeros(256, np.int64)
    counts[: len(categories)] = 1_000 - np.arange(len(categories))
    groups = groups_of(categories, counts, DECIDED)
    assert groups.names == [*names[:MOST], OTHERS]
    assert (groups.rows @ counts).sum() == counts.sum()
    assert groups.rows[-1].sum() == 6 and groups.good[-1].sum() == 3


def test_a_value_may_be_called_as_the_others_are() -> None:
    """Mutation: in `groups_of`, `told[OTHERS] = others`."""
    names = [OTHERS, *(f"g{i}" for i in range(MOST))]
    categories = [crossed(name, what) for name in names for what in "+-"]
    counts = np.zeros(256, np.int64)
    counts[: len(categories)] = 100 - np.arange(len(categories))
    assert (groups_of(categories, counts, DECIDED).rows @ counts).sum() == counts.sum()


def test_a_group_without_positives_in_the_reference_has_them_counted_since() -> None:
    """Its first positive is no unseen value. Mutation: `_categories` for all in `grid._learn_column`."""
    few = [event(i, "X", False, i * PANE // PER) for i in range(12)]
    profile = profile_of([*few, *events_of({"F": 0.3, "M": 0.3}, 5_000)])
    shares: dict[str | None, float] = {"F": 0.3, "M": 0.3, "X": 0.3}
    counts = panes(profile, events_of(shares, 20_000, start=profile.judged_from, seed=2))
    limits = Limits(profile.predictions, SETTINGS)
    assert judged(limits, counts) == []
    assert "X 3" in limits.describe()[0]


def test_of_many_values_both_decisions_are_known_or_neither() -> None:
    """Mutation: `_categories` for all in `grid._learn_column`."""
    profile = profile_of(events_of({f"v{i:03d}": 0.1 for i in range(150)}, 12_000))
    grid = profile.predictions.grid
    known = set(grid.columns[grid.index["segments.sex"]].categories)
    assert len(known) == 184
    assert {cell[:-1] + "+" for cell in known} == {cell[:-1] + "+" for cell in known if cell.endswith("-")}
    assert sum(cell.endswith("+") for cell in known) == 92


def test_of_a_value_that_is_half_known_nothing_is_said() -> None:
    """As grids of foreign profiles may have it. Mutation: no `len(both)` in `groups_of`."""
    counts = np.zeros(256, np.int64)
    counts[:5] = 100
    assert groups_of(["F +", "F -", "M +", "M -", "X -"], counts, DECIDED).names == ["F", "M"]


def test_where_all_is_good_or_nothing_there_is_no_share() -> None:
    """As grids of foreign profiles may have it. Mutation: no `both` in `groups_of`."""
    counts = np.zeros(256, np.int64)
    counts[:4] = 100
    assert groups_of(["F TP", "M TP", "F TN", "M TN"], counts, SHARES["recall_ratio"]).names == []


def test_of_pairs_46_values_are_known_with_all_that_may_happen() -> None:
    """Of two classes, one of which a small value never had; of more, fewer. Mutation: `told` of `_TOLD[:2]`."""
    texts = [crossed(f"v{i:03d}", what) for i in range(150) for what in ("TP", "FP" if i else "TN")]
    assert len(crossed_categories(texts)) == 184
    assert {"v000 FN", "v000 FP", "v045 TN"} < set(crossed_categories(texts))
    many = crossed_categories([*texts, "v000 ON", "v001 wrong"])
    assert len(many) == 7 * 26 and {"v001 right", "v001 ON"} < set(many)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"segment": "", "at_least": 0.8}, "name its segment"),
        ({"segment": "sex", "at_most": 0.8}, "give at_least"),
        ({"segment": "sex", "column": "x", "at_least": 0.8}, "it is about segments.sex anyway"),
        ({"metric": "accuracy", "segment": "sex", "at_least": 0.8}, "it has no segment"),
        ({"metric": "recall_ratio", "at_least": 0.8}, "name its segment"),
        ({"metric": "false_positive_rate_ratio", "segment": "sex", "at_most": 1.25}, "a share between 0 and 1"),
        ({"metric": "false_positive_rate_ratio", "segment": "sex", "at_most": 0.9}, "give at_least"),
        ({"metric": "recal_ratio", "segment": "sex", "at_least": 0.8}, "did you mean recall_ratio"),
    ],
)
def test_limits_that_make_no_sense(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LimitRule(**{"metric": "positive_rate_ratio", **given})  # type: ignore[arg-type]
