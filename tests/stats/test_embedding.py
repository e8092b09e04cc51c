"""Random Fourier features: exact, and sharp for what columns do together."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

from driftline.stats.codes import MISSING
from driftline.stats.embedding import FEATURES, UNIT, Embedding, learn_embedding, normal_scores

CODES = 240
EDGES = norm.ppf(np.arange(1, CODES) / CODES)


def codes_of(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.searchsorted(EDGES, values.T).astype(np.uint8)


def normals(seed: int, n: int, columns: int, rho: float) -> np.ndarray[Any, Any]:
    """Columns 0 and 1 correlate, the others do not."""
    x = np.random.default_rng(seed).normal(size=(n, columns))
    x[:, 1] = rho * x[:, 0] + np.sqrt(1.0 - rho * rho) * x[:, 1]
    return np.asarray(x)


def learned(codes: np.ndarray[Any, Any]) -> Embedding:
    counts = np.stack([np.bincount(column, minlength=256) for column in codes])
    found = learn_embedding(counts, [CODES] * len(codes), codes)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("columns", "rho", "least"), [(2, -0.8, 2.0), (20, -0.8, 2.0), (20, 0.3, 1.0), (64, 0.6, 0.4)]
)
def test_a_correlation_that_changes_moves_a_feature(columns: int, rho: float, least: float) -> None:
    reference = codes_of(normals(0, 20_000, columns, 0.8))
    embedding = learned(reference)
    before = embedding.features(embedding.scored(reference)) / UNIT
    after = embedding.features(embedding.scored(codes_of(normals(1, 20_000, columns, rho)))) / UNIT
    effects = np.abs(after.mean(axis=0) - before.mean(axis=0)) / before.std(axis=0)
    assert effects.max() >= least


def test_where_nothing_changes_no_feature_moves() -> None:
    reference = codes_of(normals(0, 20_000, 20, 0.8))
    embedding = learned(reference)
    before = embedding.features(embedding.scored(reference)) / UNIT
    after = embedding.features(embedding.scored(codes_of(normals(1, 20_000, 20, 0.8)))) / UNIT
    effects = np.abs(after.mean(axis=0) - before.mean(axis=0)) / before.std(axis=0)
    assert effects.max() < 5.0 * np.sqrt(2.0 / 20_000)


def test_of_each_row_alone_whatever_the_batch() -> None:
    """Sums in any order and grouping are the same to the bit."""
    codes = codes_of(normals(0, 3_000, 20, 0.5))
    codes[3, ::7] = MISSING
    embedding = learned(codes_of(normals(1, 3_000, 20, 0.5)))
    whole = embedding.features(embedding.scored(codes))
    order = np.random.default_rng(2).permutation(3_000)
    parts = [embedding.features(embedding.scored(codes[:, part])) for part in np.array_split(order, 97)]
    assert np.array_equal(np.concatenate(parts), whole[order])
    assert np.abs(whole).max() <= UNIT


def test_products_stay_exact_in_float32() -> None:
    """The largest sum there can be is a whole number that float32 holds.

    Mutation: scores in units of 1/1024 instead of 1/64."""
    embedding = learned(codes_of(normals(0, 5_000, 64, 0.9)))
    w = embedding.frequencies
    largest = np.append(np.abs(embedding.table).max(axis=1), 1.0)
    assert float(largest @ np.abs(w.astype(np.float64)).max(axis=1)) < 2**24
    assert np.array_equal(w, np.rint(w))


def test_the_same_rows_in_any_order_give_the_same_embedding() -> None:
    codes = codes_of(normals(0, 5_000, 20, 0.6))
    shuffled = codes[:, np.random.default_rng(1).permutation(5_000)]
    assert msgspec.json.encode(learned(codes)) == msgspec.json.encode(learned(shuffled))


def test_what_holds_no_value_is_in_the_middle() -> None:
    scores = normal_scores(np.array([10, 0, 30, 20] + [0] * 252), 4)
    assert scores[MISSING] == scores[1] == 0
    assert scores[0] < scores[2] < scores[3]


def test_columns_that_never_vary_are_left_out() -> None:
    codes = codes_of(normals(0, 1_000, 4, 0.5))
    codes[2] = 7
    assert learned(codes).columns == [0, 1, 3]
    assert learn_embedding(np.stack([np.bincount(codes[2], minlength=256)]), [CODES], codes[2:3]) is None


def test_of_many_columns_those_that_depend_on_others_are_looked_at() -> None:
    values = normals(0, 2_000, 100, 0.0)
    values[:, 99] = values[:, 98] + 0.1 * values[:, 99]
    embedding = learned(codes_of(values))
    assert len(embedding.columns) == 64
    assert {98, 99} <= set(embedding.columns)
    pair = [embedding.columns.index(98), embedding.columns.index(99)]
    assert embedding.groups[0] == embedding.groups[1] == pair


@pytest.mark.parametrize("groups", [[[0, 1]] * (FEATURES - 1), [[0, 5]] * FEATURES, [[]] * FEATURES])
def test_a_damaged_embedding_is_refused(groups: list[list[int]]) -> None:
    data = msgspec.json.encode({"columns": [0, 1], "scores": bytes(1024), "groups": groups})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=Embedding)
