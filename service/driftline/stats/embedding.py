"""Mean embedding by random Fourier features: sees the dependence between columns change while every column alone
stays as it was.

Each row becomes 64 numbers cos(w . z + phase): z are the normal scores of its codes (the ranks of its values in the
reference), each w looks at a few columns, and is drawn once for all. Two laws of z differ if and only if some of
these means do, given w enough. Half of them look at the pairs that depend most on each other in the reference, at
their sum and their difference; half at six columns drawn by lot. A correlation of .8 that sinks to .6 moves the best
by 0.6 of its SDs; one that rises from 0 to .8 between two of 20 columns by 0.2, and between two of 64 by nothing.

Everything is an integer, and every sum below 2^24: so products in float32 are exact, and the same rows give the same
sums in whatever order, grouping or batch they come. 128 bytes of sums in a small block; merging is addition.

A. Rahimi, B. Recht, "Random features for large-scale kernel machines" (2007); A. Gretton et al., "A kernel
two-sample test" (2012).
"""

from __future__ import annotations

from functools import cached_property
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES

FEATURES: Final = 64
MAX_COLUMNS: Final = 64
UNIT: Final = 127
"""A cosine of 1. Rounding adds 0.00001 to a variance of about a half, in the reference as in the present."""
CHUNK: Final = 512
"""Rows at once: what they need stays in the cache, and their sums below 2^24."""
SCORE_UNIT: Final = 64
_BY_LOT: Final = 6
"""Columns that one feature looks at: with more of them each pair is drowned by the rest."""
_SPREAD: Final = 1.2
"""Variance of w . z where the columns are independent: much more and the mean drowns, much less and it hardly moves."""
_FAINT: Final = 0.1
"""Pairs that correlate less than this are not looked at on purpose."""
_MAX_SCORE: Final = 3.0
_TURN: Final = 4_096
_SHIFT: Final = 4
_ROWS: Final = 8_192

Codes = NDArray[np.uint8]
Scores = NDArray[np.int16]
_NORMAL: Final = NormalDist()
_COSINES: Final = np.rint(np.cos(2.0 * np.pi * np.arange(_TURN) / _TURN) * UNIT).astype(np.float32)


class Embedding(msgspec.Struct, frozen=True, dict=True):
    """`columns`: places in the grid of the columns looked at, at most 64; `scores`: int16 LE [columns, 256] in units
    of 1/64 SD; `groups`: which of the columns (places in `columns`) each feature looks at."""

    columns: list[int]
    scores: bytes
    groups: list[list[int]]

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding turns into msgspec.ValidationError."""
        k = len(self.columns)
        if not 2 <= k <= MAX_COLUMNS or len(self.scores) != 2 * k * CODES or len(self.groups) != FEATURES:
            raise ValueError(f"an embedding of {k} columns with {len(self.groups)} features")
        if any(not group or min(group) < 0 or max(group) >= k or len(group) > _BY_LOT for group in self.groups):
            raise ValueError("an embedding whose features look at columns that are not there")

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """Scores by column and code: float32 [columns, 256]."""
        return np.frombuffer(self.scores, "<i2").reshape(-1, CODES).astype(np.float32)

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        return np.array(self.columns, np.intp)

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """Where in `table` each column begins."""
        return np.arange(len(self.columns)) * CODES

    @cached_property
    def frequencies(self) -> NDArray[np.float32]:
        """Whole numbers [columns + 1, FEATURES], the last row of which are the phases: a function of `groups` alone,
        the same everywhere and for ever (numpy promises the stream of `RandomState`)."""
        rng = np.random.RandomState(FEATURES)
        w = np.zeros((len(self.columns) + 1, FEATURES))
        for j, group in enumerate(self.groups):
            signs = rng.choice([-1.0, 1.0], _BY_LOT)[: len(group)]
            # Both features of a pair are needed: its sum tells of one direction, its difference of the other.
            signs = np.array([1.0, -1.0 if j % 2 else 1.0]) if len(group) == 2 else signs
            w[group, j] = signs * np.sqrt(2.0 / len(group) if len(group) == 2 else _SPREAD / len(group))
        w *= _TURN / (2.0 * np.pi) * (1 << _SHIFT) / SCORE_UNIT
        sines = np.array([len(group) > 2 and j % 4 == 3 for j, group in enumerate(self.groups)])
        w[-1] = np.where(sines, (_TURN * 3 // 4) << _SHIFT, 0)
        return np.rint(w).astype(np.float32)

    def scored(self, codes: Codes) -> NDArray[np.float32]:
        """The scores of rows of codes, uint8 [grid columns, rows]: float32 [rows, columns + 1], the last of them 1."""
        scores = np.ones((codes.shape[1], len(self.columns) + 1), np.float32)
        scores[:, :-1] = self.table.take(codes[self._places].T + self._first)
        return scores

    def features(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of rows of scores: whole numbers [rows, FEATURES] in units of 1/UNIT; of each row alone."""
        return cosines(scores @ self.frequencies)

    def total(self, codes: Codes) -> NDArray[np.int64]:
        """The sums over rows of codes [grid columns, rows], at most CHUNK of them: int64 [FEATURES]."""
        return np.asarray(self.features(self.scored(codes)).sum(axis=0).astype(np.int64))

    def sums(self, codes: Codes, bounds: list[int]) -> NDArray[np.int64]:
        """Of rows of codes [grid columns, rows], the sums over those from `bounds[p]` to `bounds[p + 1]`, all of them
        and each at least one row: int64 [p, FEATURES]."""
        found = np.zeros((len(bounds) - 1, FEATURES), np.int64)
        ends = np.asarray(bounds)
        for low in range(0, codes.shape[1], CHUNK):
            high = min(low + CHUNK, codes.shape[1])
            first = int(ends.searchsorted(low, side="right")) - 1
            last = int(ends.searchsorted(high, side="left"))
            starts = np.maximum(ends[first:last] - low, 0)
            rows = self.features(self.scored(codes[:, low:high]))
            found[first:last] += np.add.reduceat(rows, starts, axis=0).astype(np.int64)
        return found


def cosines(products: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of products of scores and frequencies, whole numbers below 2^24; in their place."""
    turned = products.astype(np.int32)
    turned >>= _SHIFT
    turned &= _TURN - 1
    return np.asarray(_COSINES.take(turned, out=products, mode="clip"))  # "raise" would copy; none is outside


def learn_embedding(counts: NDArray[np.int64], value_codes: list[int], codes: Codes) -> Embedding | None:
    """From the reference's counts [grid columns, 256], how many value codes each column has, and its rows' codes
    [grid columns, rows]. None where fewer than two columns ever vary. Beyond 64 columns those are looked at that
    depend most on any other. A pure function of the set of rows, whatever their order."""
    scores = np.stack([normal_scores(c, n) for c, n in zip(counts, value_codes, strict=True)])
    varying = np.flatnonzero(scores.any(axis=1))
    if len(varying) < 2:
        return None
    products = np.zeros((len(varying), len(varying)))
    for low in range(0, codes.shape[1], _ROWS):
        part = codes[:, low : low + _ROWS]
        z = np.stack([scores[i].astype(np.float64).take(part[i]) for i in varying.tolist()])
        products += z @ z.T  # of whole numbers: exact
    norms = np.sqrt(np.maximum(np.diag(products), 1.0))
    strength = np.abs(products) / norms[:, None] / norms
    np.fill_diagonal(strength, 0.0)
    if len(varying) > MAX_COLUMNS:
        order = np.lexsort((varying, -strength.max(axis=1)))[:MAX_COLUMNS]
        order.sort()
        varying, strength = varying[order], strength[np.ix_(order, order)]
    return Embedding(varying.tolist(), scores[varying].astype("<i2").tobytes(), _groups(strength))


def normal_scores(counts: NDArray[np.int64], codes: int) -> Scores:
    """Scores of a column's 256 codes: int16 [256] in units of 1/64, from the reference's counts of its first
    `codes` codes, in their order. What is no value, or was never seen, scores 0: in the middle."""
    held = counts[:codes].astype(np.float64)
    scores = np.zeros(CODES, np.int16)
    total = float(held.sum())
    if not total:
        return scores
    middle = (np.cumsum(held) - held / 2.0) / total
    for code in np.flatnonzero(held).tolist():
        z = _NORMAL.inv_cdf(min(max(float(middle[code]), 1e-9), 1.0 - 1e-9))
        scores[code] = round(min(max(z, -_MAX_SCORE), _MAX_SCORE) * SCORE_UNIT)
    return scores


def _groups(strength: NDArray[np.float64]) -> list[list[int]]:
    """Two features for each of the strongest pairs, the others by lot."""
    k = len(strength)
    rng = np.random.RandomState(k)
    first, second = np.triu_indices(k, 1)
    strongest = np.argsort(-strength[first, second], kind="stable")[: FEATURES // 4]
    pairs = [(int(first[p]), int(second[p])) for p in strongest if strength[first[p], second[p]] >= _FAINT]
    groups = [list(pair) for pair in pairs for _ in range(2)]
    while len(groups) < FEATURES:
        groups.append(sorted(rng.permutation(k)[:_BY_LOT].tolist()))
    return groups
