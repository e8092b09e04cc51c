"""Errors by segment: which pairs count for which ratio, and what the memory of the join keeps for it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from driftline.contracts.events import Label, Outcome, Prediction
from driftline.ingest.columns import BlockMaker
from driftline.ingest.gather import Gathered, halves, sort_out
from driftline.ingest.pairs import Pair, outcome_half, pair_of_outcome, pair_rows, prediction_half
from driftline.ingest.segments import Asked
from driftline.runtime.stage import Batch
from driftline.runtime.store import JoinMode, Meeting, Met
from driftline.stats.block import PaneCounts, add_block
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limits
from driftline.stats.profile import make_profile
from driftline.stats.ratio_limits import RatioLimit
from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings

METRICS = ("accuracy_ratio", "recall_ratio", "false_positive_rate_ratio", "precision_ratio")
RULES = tuple(LimitRule(metric=metric, segment="sex", at_least=0.8) for metric in METRICS)
ASKED = Asked(RULES, "pairs")
Labels = list[tuple[Label, Label]]


def pairs_of(labels: Labels, n: int, seed: int, start: int = 0) -> list[Pair]:
    """`n` pairs of random labels (said, is so) and groups; a tenth without."""
    rng, found = np.random.default_rng(seed), []
    for i in range(n):
        said, so = labels[int(rng.integers(len(labels)))]
        sex = ("F", "M")[int(rng.integers(2))]
        groups = {"sex": sex} if rng.random() < 0.9 else None
        found.append(Pair("m", "1", str(i), i, start, start + i * 600, said, None, so, groups))
    return found


def limits_of(pairs: list[Pair], positive: str | None = None) -> tuple[list[RatioLimit], list[str], list[Pair]]:
    """Limits by a reference of other pairs of the same labels, after `pairs` went through the blocks."""
    labels = sorted({(p.prediction, p.outcome) for p in pairs}, key=str)
    classes = {"*": positive} if positive else {}
    settings = DetectionSettings(
        arl0_events=20_000.0, limits=RULES, season="none", multivariate=False, positive_class=classes
    )
    before = pairs_of(labels, 6_000, 1)  # type: ignore[arg-type]
    made = pair_rows(before, True, positive, ("sex",))
    section = learn_section("pairs", made, 60_000, settings)
    profile = make_profile(
        model="m", version="1", source="training", created=0, judged_from=0, predictions=section, pairs=section
    )
    counts = PaneCounts.empty(len(section.grid.columns), section.grid.joint)
    blocks, _ = BlockMaker(classes, RULES).pairs("m", "1", pairs, [profile])
    for block in blocks:
        add_block(counts, block, section.grid)  # type: ignore[arg-type]
    limits = Limits(section, settings.for_model("m"))
    limits.update(0, 60_000, counts)
    return [one for one in limits.limits if isinstance(one, RatioLimit)], limits.describe(), pairs


TWO: Labels = [(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]
LEFT: Labels = [("left", "left"), ("stays", "left"), ("left", "stays"), ("stays", "stays"), ("stays", "moved")]


@pytest.mark.parametrize(("labels", "positive"), [(TWO, None), (LEFT, "left")])
def test_each_ratio_counts_its_rows_and_no_others(labels: Labels, positive: str | None) -> None:
    """Mutations: in `happened`, TN for ON; in `SHARES`, no ON; in `Asked.of`, ()."""
    yes = positive or 1
    limits, _, pairs = limits_of(pairs_of(labels, 3_000, 2, 6_000 * 600), positive)
    assert [limit.rule.metric for limit in limits] == sorted(METRICS)
    for limit in limits:
        metric = limit.rule.metric
        for name, good, n in zip(limit.groups.names, limit.good.tolist(), limit.rows.tolist(), strict=True):
            mine = [(p.prediction, p.outcome) for p in pairs if p.segments == {"sex": name}]
            match metric:
                case "accuracy_ratio":
                    counts = [said == so for said, so in mine]
                case "recall_ratio":
                    counts = [said == yes for said, so in mine if so == yes]
                case "false_positive_rate_ratio":
                    counts = [said == yes for said, so in mine if so != yes]
                case _:
                    counts = [so == yes for said, so in mine if said == yes]
            assert (good, n) == (sum(counts), len(counts))
            assert n > 200


def test_of_classes_without_a_positive_one_only_accuracies_compare() -> None:
    """Mutation: in `SHARES`, RIGHT and WRONG count for recall too."""
    labels: Labels = [("cat", "cat"), ("dog", "cat"), ("dog", "dog"), ("cow", "cow")]
    limits, said, pairs = limits_of(pairs_of(labels, 2_000, 3, 6_000 * 600))
    assert [limit.rule.metric for limit in limits if not limit.why_not] == ["accuracy_ratio"]
    assert int(limits[0].rows.sum()) == sum(p.segments is not None for p in pairs)
    wrong = "segments.sex:recall_ratio >= 0.8: not judged: the reference holds what it is about for fewer than two"
    assert any(line.startswith(wrong) for line in said)


def test_numbers_that_are_no_classes_are_in_no_group() -> None:
    rows = pair_rows([Pair("m", "1", "a", 0, 0, 1, 0.25, None, 0.5, {"sex": "F"})], True, None, ("sex",))
    assert "segments.sex" not in rows.columns


# The memory of the join


def made(segments: dict[str, str] | None, model: str = "m") -> Prediction:
    return Prediction(id="a", model=model, version="1", time=5, prediction=1, score=0.5, segments=segments)


TRUTH = Outcome(id="a", model="m", time=9, outcome=0)


def payload(event: Prediction, asked: Asked) -> bytes:
    (half,) = halves(Batch(0, 0, 1, (), 0), Gathered([event], [0]), 1, asked)
    return half.payload


def test_where_no_limit_asks_nothing_more_is_remembered() -> None:
    """Byte for byte. Mutation: `kept = event.segments` in `halves`."""
    plain = msgspec.msgpack.encode(("1", 5, 1, 0.5))
    rule = LimitRule(metric="recall_ratio", segment="sex", at_least=0.8, model="other")
    decisions = LimitRule(metric="positive_rate_ratio", segment="sex", at_least=0.8)
    for asked in (Asked((), "pairs"), Asked([rule], "pairs"), Asked([decisions], "pairs")):
        assert payload(made({"sex": "F", "region": "north"}), asked) == plain
    assert payload(made({"region": "north"}), ASKED) == plain
    assert payload(made(None), ASKED) == plain


def test_of_the_segments_only_those_that_are_asked_for_are_remembered() -> None:
    held = payload(made({"sex": "F", "region": "north"}), ASKED)
    assert held == msgspec.msgpack.encode(("1", 5, 1, 0.5, {"sex": "F"}))
    pair = pair_of_outcome(TRUTH, 0, held)
    assert (pair.version, pair.predicted_at, pair.known_at, pair.prediction) == ("1", 5, 9, 1)
    assert pair.segments == {"sex": "F"}


def test_what_was_remembered_before_the_limit_is_unknown() -> None:
    """Mutation: no default of `_PredictionMemory.segments`."""
    before = prediction_half(made({"sex": "F"}), 0, JoinMode.FRESH).payload
    pair = pair_of_outcome(TRUTH, 0, before)
    assert pair.segments is None
    rows = pair_rows([pair, msgspec.structs.replace(pair, segments={"sex": "M"})], True, None, ("sex",))
    assert rows.columns["segments.sex"].texts == [None, "M FP"]


def test_whichever_half_completes_it_a_pair_has_the_predictions_segments() -> None:
    """And an outcome that repeats its prediction brings its own. Mutation: in `sort_out`, `asked_of` not asked."""
    truth = outcome_half(TRUTH, 0, JoinMode.FRESH).payload
    held = payload(made({"sex": "F", "region": "x"}), ASKED)
    whole = Outcome(
        id="b", model="m", time=9, outcome=0, version="1", prediction=1, segments={"sex": "F", "a": "b"}
    )
    found = []
    for event, answers in (
        (made({"sex": "F", "region": "x"}), [Meeting(Met.PAIRED, truth)]),
        (msgspec.structs.replace(TRUTH, segments={"sex": "M"}), [Meeting(Met.PAIRED, held)]),
        (whole, [Meeting(Met.NEW), Meeting(Met.PAIRED)]),
    ):
        gathered = Gathered([event], [0])
        found += sort_out(Batch(0, 0, 1, (), 0), gathered, answers, ASKED).pairs
    assert [pair.segments for pair in found] == [{"sex": "F"}] * 3
