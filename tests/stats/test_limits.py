"""Hard limits: what they promise at the limit, how soon they speak beyond it, and that they come back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.encode import encode_cells
from driftline.stats.grid import learn_grid
from driftline.stats.limit_rules import LimitRule, counted, cuts_of
from driftline.stats.limits import Limit, Limits
from driftline.stats.monitors import ModelMonitors
from driftline.stats.reference import learn_section
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from stats.worlds import DAY_EVENTS, PANE, PER_PANE, Cells, judge, panes_of, profile_of, rows_of

Floats = NDArray[np.float64]


def settings_of(*rules: LimitRule, arl0: float = 10_000.0) -> DetectionSettings:
    return DetectionSettings(arl0_events=arl0, limits=rules)


def missed(n: int, share: float, seed: int = 0) -> Floats:
    return (np.random.default_rng(seed).random(n) < share).astype(np.float64)


def section_of(settings: DetectionSettings, *, share: float = 0.1, n: int = 20_000) -> Section:
    return learn_section("pairs", rows_of({"false_negative": missed(n, share, 99)}), PANE, settings)


def feed(limits: Limits, values: Floats, *, first: int = 0, per: int = PER_PANE) -> list[tuple[int, Change]]:
    """Changes with how many values had come by the end of the pane that brought each."""
    column = limits.section.grid.index["false_negative"]
    found = []
    for i in range(len(values) // per):
        counts = PaneCounts.empty(len(limits.section.grid.columns), limits.section.grid.joint)
        bad = int(values[i * per : (i + 1) * per].sum())
        counts.n = per
        counts.counts[column, :2] = (per - bad, bad)
        start = (first + i) * PANE
        found += [((i + 1) * per, change) for change in limits.update(start, start + PANE, counts)]
    return found


FNR = LimitRule(metric="false_negative_rate", at_most=0.12)


def test_at_the_limit_the_false_alarms_are_within_the_budget() -> None:
    """The hardest null there is: exactly at the limit, for ever. Mutation: put 0.0 for `math.log(dt)` in `hear`, as
    if every pane were a day."""
    settings = DetectionSettings(arl0_days=20_000 / DAY_EVENTS, limits=(FNR,))
    section = section_of(settings)
    limits, alarms = Limits(section, settings), 0
    values = missed(1_500_000, 0.12).reshape(-1, PER_PANE)
    for i, pane in enumerate(values):
        if feed(limits, pane, first=i):
            limits, alarms = Limits(section, settings), alarms + 1
    assert alarms <= 75 + 3 * 9


def test_a_long_good_stretch_is_not_held_in_its_favour() -> None:
    """Mutation: let R sink below dt (`log_r + worse` without the `logaddexp`)."""
    settings = settings_of(FNR, arl0=100_000.0)
    section = section_of(settings)

    def delay(quiet: int) -> float:
        found = []
        for seed in range(11):
            limits = Limits(section, settings)
            assert not feed(limits, missed(quiet, 0.08, seed))
            later = feed(limits, missed(30_000, 0.2, seed + 100), first=quiet // PER_PANE)
            found.append(later[0][0])
        return float(np.median(found))

    early, late = delay(100), delay(200_000)
    assert late <= 1.3 * early
    assert late <= 2_000  # KL(.2 : .12) = .026 nats: ln(100,000) / .026 is 440


def test_an_alarm_says_what_it_rests_on_and_resolves_once_it_is_over() -> None:
    settings = settings_of(FNR)
    limits = Limits(section_of(settings), settings)
    values = np.concatenate([missed(5_000, 0.05, 1), missed(20_000, 0.3, 2), missed(20_000, 0.05, 3)])
    (raised, alarm), (ended, resolved) = feed(limits, values)
    assert 5_000 < raised < 6_000 and 25_000 < ended < 26_000
    assert (alarm.monitor, alarm.state, alarm.severity) == (
        "false_negative:false_negative_rate <= 0.12",
        "alarm",
        "critical",
    )
    assert alarm.effect is not None and alarm.evidence is not None
    assert (alarm.effect.reference, alarm.evidence.detector) == (0.12, "limit")
    assert alarm.effect.current.low < 0.3 < alarm.effect.current.high
    assert 45 * PANE <= alarm.onset <= 52 * PANE
    assert alarm.sentence.startswith(
        "false_negative: the false negative rate is beyond its limit of at most 12 %: "
    ), alarm.sentence
    assert resolved.state == "resolved"
    assert 248 * PANE <= resolved.onset <= 254 * PANE
    assert resolved.effect is not None and resolved.effect.current.value < 0.12


def test_an_alarm_counts_the_streams_rows_too_since_its_onset() -> None:
    """One row in five is a positive, and a pane in three has none. Restored after every pane, it is the same.

    Mutations: no `self.rows.add` in `Limits.update`; no `keep` there: the state grows with time."""
    settings = settings_of(FNR)
    section = section_of(settings)
    limits, column = Limits(section, settings), section.grid.index["false_negative"]
    rows: dict[int, int] = {}
    alarm, rng = None, np.random.default_rng(6)
    for i in range(400):
        positives = 0 if i % 3 == 0 else 20
        bad = int(rng.binomial(positives, 0.05 if i < 200 else 0.4))
        counts = PaneCounts.empty(len(section.grid.columns), section.grid.joint)
        counts.n = rows[i * PANE] = 100 + i
        counts.counts[column, :2] = (positives - bad, bad)
        found = limits.update(i * PANE, (i + 1) * PANE, counts)
        limits = Limits.from_state(section, settings, unpack_arrays(pack_arrays(limits.to_state())))
        assert len(limits.rows.before) <= 8
        if found:
            (alarm,) = found
            break
    assert alarm is not None and alarm.evidence is not None
    since = [start for start in rows if start >= alarm.onset]
    assert alarm.evidence.rows == sum(rows[start] for start in since)
    assert alarm.evidence.n == 20 * sum(start // PANE % 3 > 0 for start in since)


def test_fewer_than_min_count_rows_raise_no_alarm() -> None:
    """Mutation: leave `min_count` out of `Limits.update`."""
    rule = LimitRule(metric="false_negative_rate", at_most=0.005, min_count=3_000)
    settings = settings_of(rule)
    limits = Limits(section_of(settings, share=0.002), settings)
    ((raised, alarm),) = feed(limits, np.ones(5_000))
    assert raised == 3_000
    assert alarm.evidence is not None and alarm.evidence.n == 3_000


def test_recall_and_its_complement_are_one_limit() -> None:
    settings = settings_of(FNR, LimitRule(metric="recall", at_least=0.88))
    limits = Limits(section_of(settings), settings)
    (_, miss), (_, recall) = feed(limits, missed(3_000, 0.4, 5))
    assert (miss.time, miss.onset) == (recall.time, recall.onset)
    assert miss.effect is not None and recall.effect is not None
    assert recall.effect.current.value == pytest.approx(1.0 - miss.effect.current.value)
    assert recall.effect.current.low < recall.effect.current.value < recall.effect.current.high
    assert "recall is beyond its limit of at least 88 %" in recall.sentence


def test_dependent_rows_count_for_less() -> None:
    """Mutation: let `worth` return n."""
    settings = settings_of(LimitRule(metric="false_negative_rate", at_most=0.3), arl0=1e6)
    rng = np.random.default_rng(4)
    blocky = np.repeat((rng.random(1_000) < 0.2).astype(np.float64), 20)
    section = learn_section("pairs", rows_of({"false_negative": blocky}), PANE, settings)
    limits = Limits(section, settings)
    (limit,) = limits.limits
    assert isinstance(limit, Limit) and limit.worth(100) < 15
    quiet = np.repeat((rng.random(10_000) < 0.27).astype(np.float64), 20)
    assert not feed(limits, quiet)
    assert limits.describe()[0].startswith("false_negative:false_negative_rate <= 0.3: ")


def test_restored_limits_go_on_bit_for_bit() -> None:
    settings = settings_of(FNR, LimitRule(metric="recall", at_least=0.5))
    section = section_of(settings)
    straight, broken = Limits(section, settings), Limits(section, settings)
    values = np.concatenate([missed(3_000, 0.1, 1), missed(2_000, 0.3, 2), missed(4_000, 0.02, 3)])
    for i in range(len(values) // PER_PANE):
        part = values[i * PER_PANE : (i + 1) * PER_PANE]
        assert feed(straight, part, first=i) == feed(broken, part, first=i)
        broken = Limits.from_state(section, settings, unpack_arrays(pack_arrays(broken.to_state())))
    assert pack_arrays(broken.to_state()) == pack_arrays(straight.to_state())
    assert len(pack_arrays(straight.to_state())) < 1_500


def test_a_limit_that_is_taken_away_ends_its_alarm() -> None:
    settings = settings_of(FNR)
    section = section_of(settings)
    limits = Limits(section, settings)
    assert feed(limits, missed(2_000, 0.5, 1))
    without = settings_of(LimitRule(metric="recall", at_least=0.2))
    ((_, change),) = feed(Limits.from_state(section, without, limits.to_state()), missed(300, 0.1), first=100)
    assert (change.monitor, change.state) == (FNR.monitor, "resolved")


def test_the_mean_of_a_loss_is_judged_by_its_exact_sum() -> None:
    rng = np.random.default_rng(7)
    rule = LimitRule(metric="loss", at_most=0.3)
    settings = settings_of(rule)
    losses: dict[str, Cells] = {"loss": rng.beta(2, 8, 20_000)}
    profile = profile_of({"x": rng.normal(size=20_000)}, settings, pairs=losses)
    monitors = ModelMonitors(profile, settings)
    assert not judge(monitors, "pairs", panes_of(profile, "pairs", {"loss": rng.beta(2, 8, 20_000)}))
    worse = panes_of(profile, "pairs", {"loss": rng.beta(4, 6, 5_000)}, after=200)
    alarm = next(change for _, change in judge(monitors, "pairs", worse) if change.monitor == rule.monitor)
    assert alarm.effect is not None and alarm.effect.current.value == pytest.approx(0.4, abs=0.02)
    assert monitors.broken_limits() == [rule.monitor]


def test_latency_above_a_value_has_its_edge_in_the_grid() -> None:
    """p99 <= 200 ms is: the share above 200 is at most 1 %. Mutation: leave the cuts out of `learn_section`."""
    rng = np.random.default_rng(8)
    rule = LimitRule(metric="share_above", column="latency_ms", value=200.0, at_most=0.01)
    settings = settings_of(rule)
    reference = rng.lognormal(4.0, 0.4, 20_000)
    profile = profile_of({"latency_ms": reference}, settings)
    monitors = ModelMonitors(profile, settings)
    slow = np.where(rng.random(10_000) < 0.04, 200.0000001, np.minimum(rng.lognormal(4.0, 0.4, 10_000), 200.0))
    found = judge(monitors, "predictions", panes_of(profile, "predictions", {"latency_ms": slow}))
    alarm = next(change for _, change in found if change.monitor == rule.monitor)
    assert alarm.effect is not None and alarm.effect.current.value == pytest.approx(0.04, abs=0.02)
    assert "share of latency_ms above 200 is beyond its limit of at most 1 %" in alarm.sentence


def test_without_its_edge_a_limit_counts_too_few_and_says_so() -> None:
    rng = np.random.default_rng(9)
    rule = LimitRule(metric="share_above", column="x", value=0.5, at_most=0.01)
    settings = settings_of(rule)
    section = learn_section("predictions", rows_of({"x": rng.normal(size=20_000)}), PANE, DetectionSettings())
    limits = Limits(section, settings)
    (limit,) = limits.limits
    assert isinstance(limit, Limit) and limit.counted is not None
    assert limit.counted.nearest is not None and limit.counted.nearest > 0.5
    assert f"judged at {limit.counted.nearest:g}, the nearest edge" in limits.describe()[0]


def test_what_cannot_be_judged_says_why() -> None:
    texts: list[str | None] = ["a", "b"] * 5_000
    settings = settings_of(
        LimitRule(metric="share_above", column="c", value=1.0, at_most=0.1),
        LimitRule(metric="category_share", column="c", value="z", at_most=0.1),
        LimitRule(metric="missing_share", column="nowhere", at_most=0.1),
    )
    limits = Limits(learn_section("predictions", rows_of({"c": texts}), PANE, settings), settings)
    assert limits.describe() == [
        "c:category_share z <= 0.1: not judged: the reference tells no such value of c apart",
        "c:share_above 1 <= 0.1: not judged: c is categorical in the reference, not numeric",
        "nowhere:missing_share <= 0.1: not judged: the reference has no column nowhere",
    ]


@pytest.mark.parametrize(
    ("rule", "value", "bad"),
    [
        (LimitRule(metric="share_above", column="x", value=5.0, at_most=0.1), 5.0, False),
        (LimitRule(metric="share_above", column="x", value=5.0, at_most=0.1), 5.1, True),
        (LimitRule(metric="share_above", column="x", value=5.0, at_least=0.1), 5.0, True),
        (LimitRule(metric="share_above", column="x", value=5.0, at_least=0.1), 5.1, False),
        (LimitRule(metric="share_below", column="x", value=5.0, at_most=0.1), 4.9, True),
        (LimitRule(metric="share_below", column="x", value=5.0, at_most=0.1), 5.0, False),
        (LimitRule(metric="share_below", column="x", value=5.0, at_least=0.1), 5.0, True),
        (LimitRule(metric="category_share", column="x", value=5.0, at_most=0.1), 5.0, True),
        (LimitRule(metric="category_share", column="x", value=5.0, at_most=0.1), math.nextafter(5.0, 6.0), False),
        (LimitRule(metric="category_share", column="x", value=5.0, at_least=0.1), 5.0, False),
    ],
)
def test_which_rows_are_bad(rule: LimitRule, value: float, bad: bool) -> None:
    """Also where the reference is so fine that 5.0 has no bin of its own by right."""
    rng = np.random.default_rng(3)
    grid = learn_grid(rows_of({"x": rng.normal(5, 2, 5_000)}), PANE, cuts_of((rule,), "predictions"))
    found = counted(rule, grid.columns[0], None)
    assert not isinstance(found, str) and found.nearest is None
    (code,) = encode_cells(grid, rows_of({"x": np.array([value])}))[:, 0]
    assert (bool(found.bad[code]), bool(found.base[code])) == (bad, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "false_negatve_rate", "at_most": 0.1}, "did you mean false_negative_rate"),
        ({"metric": "error_rate"}, "either at_most or at_least"),
        ({"metric": "error_rate", "at_most": 1.0}, "between 0 and 1"),
        ({"metric": "error_rate", "at_most": math.nan}, "between 0 and 1"),
        ({"metric": "error_rate", "at_most": 0.1, "column": "x"}, "about error anyway"),
        ({"metric": "share_above", "at_most": 0.1, "value": 2.0}, "name its column"),
        ({"metric": "share_above", "at_most": 0.1, "column": "x"}, "give its value"),
        ({"metric": "share_above", "at_most": 0.1, "column": "x", "value": math.inf}, "finite"),
        ({"metric": "error_rate", "at_most": 0.1, "min_count": 0}, "min_count"),
    ],
)
def test_rules_that_make_no_sense_are_refused(given: dict[str, float | str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LimitRule(**given)  # type: ignore[arg-type]


def test_a_limit_taken_out_right_after_its_alarm_is_resolved() -> None:
    """Mutation: read `back_from` for `alarm` in `Limits.from_state`."""
    settings = settings_of(FNR)
    section = section_of(settings)
    limits, values = Limits(section, settings), missed(5_000, 0.4, 3).reshape(-1, PER_PANE)
    for i, pane in enumerate(values):
        if feed(limits, pane, first=i):
            break
    after = Limits.from_state(section, DetectionSettings(), limits.to_state())
    assert after.in_alarm == [] and after.dropped == [FNR.monitor]


def test_row_46_a_limit_taken_out_in_alarm_ends_with_a_reason_though_no_row_comes() -> None:
    """Mutation: leave `end_dropped` out of StreamMonitors.elapse; who removes a limit of a model that has gone silent
    keeps its alarm for ever."""
    settings = settings_of(FNR)
    profile = profile_of({"x": missed(20_000, 0.5)}, settings, pairs={"false_negative": missed(20_000, 0.1, 99)})
    monitors = ModelMonitors(profile, settings)
    panes = panes_of(profile, "pairs", {"false_negative": missed(5_000, 0.4, 3)})
    told = judge(monitors, "pairs", panes)
    assert [change.state for _, change in told if change.monitor == FNR.monitor] == ["alarm"]
    after = ModelMonitors.from_bytes(profile, settings_of(), monitors.to_bytes())
    until = panes[-1][0] + 2 * PANE
    (over,) = [change for change in after.elapse(until) if change.monitor == FNR.monitor]
    assert (over.state, over.time) == ("resolved", until)
    assert over.sentence == f"{FNR.monitor} was taken out of the configuration: its alarm ends with that."
    kept = ModelMonitors.from_bytes(profile, settings_of(), after.to_bytes())
    assert not [change for change in kept.elapse(until + PANE) if change.monitor == FNR.monitor]
