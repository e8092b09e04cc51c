"""What the promise rests on, each held by simulation beside the same simulation without it.

The twin without shows that the test could see the loss: allowance, weights, pane variance and clock all have one.
"""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
import pytest

from driftline.stats.block import PaneCounts
from driftline.stats.budget import weights
from driftline.stats.cbe import BlockDetector, WitnessTable
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.stream_monitors import StreamMonitors
from driftline.stats.witness import SIGNS, bernoulli_evidence, bernoulli_recovery
from stats.worlds import DAY_EVENTS, PANE, Floats, judge, panes_of, profile_of

MU = 0.2


def shares(monitors: int) -> WitnessTable:
    """A two-sided share of 20 % each, with no allowance: then M less the clock is a martingale to the letter. Only the
    three smallest effects have a prior: the mean of the others hangs on what is never seen."""
    sides = [bernoulli_evidence(MU, 0.0, sign) for sign in SIGNS]
    slope, offset = (np.stack([side[i] for side in sides if side is not None]) for i in (0, 1))
    backs = np.array([bernoulli_recovery(MU, 0.01, sign) for sign in SIGNS])
    return WitnessTable(
        monitor=np.arange(monitors),
        a=np.ones((monitors, 2)),
        b=np.zeros((monitors, 2)),
        tail=np.zeros((monitors, 2, 5)),
        slope=np.stack([slope] * monitors),
        offset=np.stack([offset] * monitors),
        log_weight=np.broadcast_to(np.log([1 / 6, 1 / 6, 1 / 6, 1e-300, 1e-300]), (monitors, 2, 5)),
        back_slope=np.stack([backs[:, 0]] * monitors),
        back_offset=np.stack([backs[:, 1]] * monitors),
    )


@pytest.mark.parametrize("clock", ["days", "none"])
def test_evidence_is_a_fair_game_against_the_clock(clock: str) -> None:
    """E M = elapsed time, whatever the traffic does: 4,000 monitors, 8 units of 5 to 15 events and .1 to 10 minutes.

    Mutation: dt = 1 a unit (`np.zeros` for the log of `length` in `_accumulate`); its twin here is that."""
    rng = np.random.default_rng(1)
    monitors = 4_000
    detector = BlockDetector(shares(monitors))
    every = np.ones(monitors, np.bool_)
    elapsed = np.zeros(monitors)
    evidence = np.zeros(monitors)
    for unit in range(8):
        n = rng.integers(5, 16, monitors).astype(np.float64)
        days = rng.uniform(0.1, 10.0, monitors)
        elapsed += days
        y = rng.binomial(n.astype(np.int64), MU) / n
        length = days if clock == "days" else np.ones(monitors)
        evidence = detector.update(every, y, n, np.ones(monitors), length, np.full(monitors, unit, np.int32))
    game = np.exp(evidence) / elapsed.mean()
    error = float(game.std() / math.sqrt(monitors))
    assert error < 0.1
    assert (abs(float(game.mean()) - 1.0) <= 4.0 * error) == (clock == "days")


def altered(section: Section, **changes: float) -> Section:
    """The same reference with other constants in all its witnesses."""
    columns = [
        msgspec.structs.replace(
            column, witnesses=[msgspec.structs.replace(witness, **changes) for witness in column.witnesses]
        )
        for column in section.columns
    ]
    return msgspec.structs.replace(section, columns=columns)


def alarms(
    section: Section,
    settings: DetectionSettings,
    panes: list[tuple[int, PaneCounts]],
    since: int,
    *,
    shared: bool = True,
) -> int:
    """Alarms of distributions; `shared`: monitors have one budget, not one each."""
    monitors = StreamMonitors(section, settings, since)
    share = weights({j: name for j, (name, _) in enumerate(section.paging)})
    levels = np.array([math.log(settings.arl0 / (weight if shared else 1.0)) for weight in share.values()])
    found = [change for start, counts in panes for change in monitors.update(start, counts, levels)]
    return sum(c.state == "alarm" and c.monitor.endswith(":distribution") for c in found)


def normal(seed: int, n: int) -> Floats:
    return np.random.default_rng(seed).normal(size=n)


def budget(expected: float) -> int:
    """As many alarms as a promise of `expected` allows by chance, at 1 in 1,000 (Poisson)."""
    total, term, k = math.exp(-expected), math.exp(-expected), 0
    while total < 0.999:
        k += 1
        term *= expected / k
        total += term
    return k


def one(profile: Profile) -> Section:
    return profile.predictions


@pytest.mark.parametrize("allowance", [True, False])
def test_the_allowance_makes_small_references_safe(allowance: bool) -> None:
    """Six references of 3,000 rows, each off by its own chance, 60,000 events judged by each, one false alarm allowed
    in 1,000,000.

    Mutation: eps = 0 in `fit._witnesses`."""
    settings = DetectionSettings(arl0_events=1_000_000)
    total = 0
    for seed in range(6):
        profile = profile_of({"features.x": normal(seed, 3_000)}, settings)
        section = one(profile) if allowance else altered(one(profile), eps=1e-9)
        panes = panes_of(profile, "predictions", {"features.x": normal(100 + seed, 60_000)})
        total += alarms(section, settings, panes, profile.judged_from)
    assert (total <= budget(0.36)) == allowance


@pytest.mark.parametrize("shared", [True, False])
def test_the_weights_share_one_budget(shared: bool) -> None:
    """24 features, 20,000 events, one false alarm allowed in 5,000 of the model. Without an allowance, which is held
    above: it would hide the loss.

    Mutation: 1 for every weight in `budget.weights`."""
    settings = DetectionSettings(arl0_events=5_000, min_effect_sd=0.0)
    names = [f"features.f{i:02d}" for i in range(24)]
    profile = profile_of({name: normal(i, 20_000) for i, name in enumerate(names)}, settings)
    panes = panes_of(profile, "predictions", {name: normal(90 + i, 20_000) for i, name in enumerate(names)})
    section = altered(one(profile), eps=1e-3)
    total = alarms(section, settings, panes, profile.judged_from, shared=shared)
    assert (total <= budget(4.0)) == shared


@pytest.mark.parametrize("pane_variance", [True, False])
def test_pane_variance_holds_at_ten_times_the_traffic(pane_variance: bool) -> None:
    """An effect of the pane of 5 % of the variance, learnt at 100 events a pane, judged at 1,000; one false alarm
    allowed in 100 panes, 1,000 judged.

    Mutation: b = 0 in `fit._witnesses`."""
    settings = DetectionSettings(arl0_days=100 * PANE / 86_400_000)
    rng = np.random.default_rng(1)

    def with_effects(panes: int, per: int) -> Floats:
        return np.repeat(rng.normal(0, 0.05**0.5, panes), per) + rng.normal(0, 0.95**0.5, panes * per)

    profile = profile_of({"features.x": with_effects(400, 100)}, settings)
    panes = panes_of(profile, "predictions", {"features.x": with_effects(1_000, 1_000)}, per=1_000)
    section = one(profile) if pane_variance else altered(one(profile), b=0.0, b_within=0.0)
    total = alarms(section, settings, panes, profile.judged_from)
    assert (total <= budget(10.0)) == pane_variance


@pytest.mark.parametrize("tail", [True, False])
def test_no_pane_proves_what_its_square_can_do(tail: bool) -> None:
    """Four columns with an effect of the pane of 10 % of the variance, learnt at 100 events a pane, judged at 1,000;
    one false alarm allowed in the 1,000 panes judged. The spread and what columns do together hear it squared.

    Mutation: 0 from `witness.tail_variance`; its twin here is that."""
    settings = DetectionSettings(arl0_days=1_000 * PANE / 86_400_000)
    rng = np.random.default_rng(3)
    names = [f"features.x{i}" for i in range(4)]

    def with_effects(panes: int, per: int) -> Floats:
        return np.repeat(rng.normal(0, 0.1**0.5, panes), per) + rng.normal(0, 0.9**0.5, panes * per)

    profile = profile_of({name: with_effects(400, 100) for name in names}, settings)
    panes = panes_of(profile, "predictions", {name: with_effects(1_000, 1_000) for name in names}, per=1_000)
    section = one(profile)
    if not tail:
        for name in ("table", "joint_table"):
            table: WitnessTable = getattr(section, name)
            vars(section)[name] = dataclasses.replace(table, tail=np.zeros_like(table.tail))
    found = [change for _, change in judge(ModelMonitors(profile, settings), "predictions", panes)]
    assert (sum(change.state == "alarm" for change in found) <= budget(1.0)) == tail


def test_arl0_counts_days_or_events() -> None:
    """The same 5,000 events a day or a minute apart: evidence in events knows no difference, in days it does."""
    assert DetectionSettings().unit == "days"
    settings = DetectionSettings(arl0_events=DAY_EVENTS)
    assert (settings.arl0, settings.unit) == (DAY_EVENTS, "events")
    profile = profile_of({"features.x": normal(1, 20_000)}, settings)
    found = []
    for per in (100, 50):
        monitors = StreamMonitors(one(profile), settings, profile.judged_from)
        panes = panes_of(profile, "predictions", {"features.x": normal(2, 100)}, per=per)
        assert len(panes) == 100 // per
        levels = np.full(len(one(profile).paging), math.inf)
        for start, counts in panes:
            monitors.update(start, counts, levels)
        found.append(monitors.units.in_events)
        first = monitors.detector.log_r[0, 0, 0]
        assert first == pytest.approx(math.log(100.0), abs=1.0)
    assert found == [True, True]
    with pytest.raises(ValueError, match="one unit"):
        DetectionSettings(arl0_days=7.0, arl0_events=1_000.0)
    with pytest.raises(ValueError, match="positive"):
        DetectionSettings(arl0_events=0.0)
