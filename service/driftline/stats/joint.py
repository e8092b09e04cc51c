"""What columns do together, as one monitor of the predictions: its witnesses are the features of the grid's embedding.

Learnt from the reference like any other: expectation, variance of a unit's mean, allowance, and the law of every
feature, for the tilt. No season is taken out: where the columns have one, a and b swallow it (safe, slow), and where
they must not page because the reference may hide one, neither does this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.embedding import CHUNK, FEATURES, UNIT, Embedding, learn_embedding
from driftline.stats.fit import Index, unit_variance
from driftline.stats.grid import CODES, Grid, GridColumn
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import DOWN, SIGNS, UP, Law, Witness, worst_law

MONITOR: Final = "features:joint"
BINS: Final = 32
"""Of the law of a feature."""
FLAT: Final = 0.05
"""A feature whose SD is less, hardly more than its rounding, is not looked at."""
_AT_ONCE: Final = 8
"""Features whose series are held at once: what bounds the memory of learning."""
BESIDE: Final = frozenset({"prediction", "score"})

Codes = NDArray[np.uint8]


class JointReference(msgspec.Struct, frozen=True, kw_only=True):
    """`witnesses`, one a feature, in cosines; `groups`: the names of the columns each looks at; `laws`: uint32 LE
    [features, BINS], how often the reference's rows lie in each bin of [-1, 1], and `values`: float32 LE, their mean
    there; both are empty where the reference was learnt from sums, which do not tell of laws (`relearn_joint`): the
    worst there can be take their place, and sigma is a bound. `units` of rows make the reference; `why_not` says why
    it never pages, empty where it does."""

    witnesses: list[Witness]
    groups: list[list[str]]
    laws: bytes
    values: bytes
    rows: int
    units: int
    why_not: str = ""

    @property
    def from_sums(self) -> bool:
        return not self.laws

    def by_direction(self) -> list[tuple[Law, Law]]:
        """Of each feature the laws for evidence that its mean is up, and that it is down."""
        if self.from_sums:
            return [
                (worst_law(w.mu, w.sigma, SIGNS[UP]), worst_law(w.mu, w.sigma, SIGNS[DOWN])) for w in self.witnesses
            ]
        shares = np.frombuffer(self.laws, "<u4").reshape(-1, BINS) / max(self.rows, 1)
        values = np.frombuffer(self.values, "<f4").reshape(-1, BINS).astype(np.float64)
        return [(law, law) for law in zip(values, shares, strict=True)]

    def without(self, columns: Set[str]) -> JointReference | None:
        """Less the features that look at one of these columns; None where no other is left."""
        kept = [
            msgspec.structs.replace(w, up=False, down=False) if not columns.isdisjoint(group) else w
            for w, group in zip(self.witnesses, self.groups, strict=True)
        ]
        return msgspec.structs.replace(self, witnesses=kept) if any(w.up or w.down for w in kept) else None


def with_embedding(grid: Grid, codes: Codes) -> Grid:
    """The grid with the embedding of the reference's rows, uint8 [n, columns]; as it is where fewer than two of the
    features, the prediction and the score ever vary."""
    by_column = np.ascontiguousarray(codes.T)
    counts = np.zeros((len(grid.columns), CODES), np.int64)
    for i, column in enumerate(grid.columns):
        if _looked_at(column):
            counts[i] = np.bincount(by_column[i], minlength=CODES)
    if not len(counts):
        return grid
    found = learn_embedding(counts, [column.codes for column in grid.columns], by_column)
    return msgspec.structs.replace(grid, embedding=found)


def _looked_at(column: GridColumn) -> bool:
    return column.name in BESIDE or column.name.startswith("features.")


def learn_joint(
    grid: Grid, codes: Codes, bounds: Index, reasons: Sequence[str], settings: DetectionSettings
) -> JointReference | None:
    """`codes` [n, columns] of the reference's rows, in order of time; `bounds`: rows at which units end, from 0;
    `reasons`: of each column of the grid, why it must not page. None where the grid has no embedding."""
    if grid.embedding is None:
        return None
    n, units = len(codes), len(bounds) - 1
    features = _features(grid.embedding, np.ascontiguousarray(codes.T))
    unit_of = np.repeat(np.arange(units), np.diff(bounds))
    names = [[grid.columns[grid.embedding.columns[i]].name for i in group] for group in grid.embedding.groups]
    witnesses: list[Witness] = []
    laws, values = np.zeros((FEATURES, BINS), "<u4"), np.zeros((FEATURES, BINS), "<f4")
    for low in range(0, FEATURES, _AT_ONCE):
        series = features[low : low + _AT_ONCE] / UNIT
        mu, sigma = series.mean(axis=1), series.std(axis=1)
        flat = sigma < FLAT
        sigma = np.where(flat, 1.0, sigma)
        a, b, error = unit_variance(series - mu[:, None], sigma, unit_of, units, 1.0, settings)
        for i, row in enumerate(features[low : low + _AT_ONCE]):
            j = low + i
            place = (row.astype(np.int64) + UNIT) * BINS // (2 * UNIT + 1)
            law = np.bincount(place, minlength=BINS)
            laws[j], values[j] = law, np.bincount(place, row, BINS) / np.maximum(law, 1) / UNIT
            witnesses.append(
                Witness(
                    form="joint",
                    bin=j,
                    label=" and ".join(names[j]),
                    weight=1.0 / FEATURES,
                    mu=float(mu[i]),
                    sigma=float(sigma[i]),
                    a=float(a[0, i]),
                    b=float(b[0, i]),
                    a_within=float(a[1, i]),
                    b_within=float(b[1, i]),
                    eps=max(settings.min_effect_sd * float(sigma[i]), float(error[i])),
                    up=not flat[i],
                    down=not flat[i],
                )
            )
    return JointReference(
        witnesses=witnesses,
        groups=names,
        laws=laws.tobytes(),
        values=values.tobytes(),
        rows=n,
        units=units,
        why_not=_why_not(grid.embedding, reasons, units, settings),
    )


def _features(embedding: Embedding, codes: Codes) -> NDArray[np.int8]:
    """int8 [FEATURES, n] in units of 1/UNIT."""
    found = np.empty((FEATURES, codes.shape[1]), np.int8)
    for low in range(0, codes.shape[1], CHUNK):
        rows = embedding.features(embedding.scored(codes[:, low : low + CHUNK]))
        found[:, low : low + CHUNK] = rows.T
    return found


def _why_not(embedding: Embedding, reasons: Sequence[str], units: int, settings: DetectionSettings) -> str:
    if units < settings.min_reference_panes:
        return f"the reference holds {units} units of rows; {settings.min_reference_panes} are needed"
    return next((reasons[i] for i in embedding.columns if reasons[i]), "")


def correlation(witness: Witness, y: float) -> float:
    """The rank correlation of two columns that a mean y of their feature would be, were their normal scores normal
    together: cos(z1 +- z2) has the mean exp(-(1 +- rho))."""
    sign = 1.0 if witness.bin % 2 == 0 else -1.0
    rho = -math.log(max(y, 1e-3)) - 1.0
    return sign * min(max(rho, -1.0), 1.0)
