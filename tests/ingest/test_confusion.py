"""Columns of the pairs that rates on labels are counted by."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline.contracts.blocks import RawBlock
from driftline.contracts.events import Label
from driftline.ingest.columns import BlockMaker
from driftline.ingest.pairs import Pair, confusion, pair_rows
from driftline.stats.rows import Rows

NOTHING = (None, None, None)


@pytest.mark.parametrize(
    ("prediction", "outcome", "positive", "expected"),
    [
        (1, 1, None, (0.0, None, 0.0)),
        (0, 1, None, (1.0, None, None)),
        (1, 0, None, (None, 1.0, 1.0)),
        (0, 0, None, (None, 0.0, None)),
        (True, False, None, (None, 1.0, 1.0)),
        ("True", "false", None, (None, 1.0, 1.0)),
        (1.0, 1, None, (0.0, None, 0.0)),
        (0.7, 1, None, NOTHING),
        (3, 1, None, NOTHING),
        ("cat", "dog", None, NOTHING),
        (None, 1, None, NOTHING),
        ("left", "left", "left", (0.0, None, 0.0)),
        ("stays", "left", "left", (1.0, None, None)),
        ("left", "stays", "left", (None, 1.0, 1.0)),
        (2.0, 2, "2", (0.0, None, 0.0)),
        (True, True, "true", (0.0, None, 0.0)),
        (0, 1, "0", (None, 1.0, 1.0)),
    ],
)
def test_what_each_pair_is(
    prediction: Label | None, outcome: Label, positive: str | None, expected: tuple[float | None, ...]
) -> None:
    assert confusion(prediction, outcome, None, positive)[:3] == expected


def pairs_of(*labels: tuple[Label, Label], model: str = "m") -> list[Pair]:
    return [Pair(model, "1", str(i), i, 0, 1_000, p, None, o) for i, (p, o) in enumerate(labels)]


@pytest.mark.parametrize(
    ("said", "is_so", "score", "expected"),
    [
        (0, 0, 0.25, 0.25),
        (1, 0, 0.25, 2.25),
        (0, 1, 0.25, 4.25),
        (1, 1, 1.0, 7.0),
        (1, 1, 1.5, None),
        (1, 1, -0.1, None),
        (1, 1, None, None),
        ("cat", "dog", 0.5, None),
    ],
)
def test_a_graded_score_says_the_score_and_the_cell(
    said: Label, is_so: Label, score: float | None, expected: float | None
) -> None:
    assert confusion(said, is_so, score, None)[3] == expected


def test_columns_are_there_where_they_apply() -> None:
    rows = pair_rows(pairs_of((1, 1), (0, 1), (1, 0), (0, 0)), True)
    held = {name: rows.columns[name].numbers.tolist() for name in ("false_negative", "false_positive")}
    assert held["false_negative"][:2] == [0.0, 1.0] and all(map(math.isnan, held["false_negative"][2:]))
    assert held["false_positive"][2:] == [1.0, 0.0]
    assert np.nanmean(rows.columns["false_discovery"].numbers) == 0.5
    assert not rows.columns.keys() & {"loss", "abs_error"}
    texts = pair_rows(pairs_of(("a", "b"), ("b", "b")), True)
    assert not texts.columns.keys() & {"false_negative", "false_positive", "false_discovery"}


def test_the_positive_class_is_that_of_the_model() -> None:
    maker = BlockMaker({"churn*": "left"})
    for model, expected in (("churn-eu", True), ("other", False)):
        ((block,), _) = maker.pairs(model, "1", pairs_of(("left", "stays"), ("left", "left"), model=model), ())
        assert isinstance(block, RawBlock)
        assert ("false_discovery" in Rows.from_raw_block(block).columns) == expected
