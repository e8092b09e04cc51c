"""What columns do together, learnt anew from sums: the reference of `features:joint` in rolling and inherited profiles.

Sums of the embedding's features are exact, so mu is that of the rows. Their law is not known, nor their variance: the
means of panes tell an upper bound of it, and of all laws on [-1, 1] with that mean and that variance the worst takes
the place of the true one (`worst_law`): evidence is sound whatever the law has become, and comes a little later.
Embedding and `a` are the original's; neither sigma nor b is ever less than there (docs/decisions/0011).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.embedding import UNIT
from driftline.stats.joint import FLAT, JointReference
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import SQUARE_UNIT, Shown
from driftline.stats.variance import pane_variance
from driftline.stats.witness import Witness

Floats = NDArray[np.float64]

_NORMAL: Final = NormalDist()


def relearn_joint(
    original: JointReference, spans: Sequence[Shown], units: int, settings: DetectionSettings
) -> JointReference:
    """From `spans` in order of time, all on the grid of `original`, which hold `units`."""
    n = np.array([float(span.rows) for span in spans])
    sums = np.array([span.sums for span in spans])
    mu = sums.sum(axis=0) / (n.sum() * UNIT)
    means = (sums / (n[:, None] * UNIT)).T
    variance = _variance(original.witnesses, spans, mu)
    b, b_within = (
        pane_variance(means, n, variance, np.array([getattr(w, line) for w in original.witnesses]))
        for line in ("a", "a_within")
    )
    witnesses = [
        _refit(w, float(mu[j]), float(variance[j]), (float(b[j]), float(b_within[j])), n, settings)
        for j, w in enumerate(original.witnesses)
    ]
    why_not = original.why_not
    if not why_not and len(spans) < settings.min_reference_panes:
        why_not = f"the reference holds {len(spans)} spans of time; {settings.min_reference_panes} are needed"
    return msgspec.structs.replace(
        original, witnesses=witnesses, laws=b"", values=b"", rows=int(n.sum()), units=units, why_not=why_not
    )


def _variance(original: list[Witness], spans: Sequence[Shown], mu: Floats) -> Floats:
    """Of a row, at most: the original's, or what it takes for the means of panes to vary as they do, raised by its own
    standard error; and no more than a law on [-1, 1] can have."""
    panes, rows = sum(span.panes for span in spans), float(sum(span.rows for span in spans))
    squares = np.sum([span.squares for span in spans], axis=0) / (SQUARE_UNIT * UNIT * UNIT)
    freedom = max(panes - 1, 1)
    between = np.maximum(squares - rows * np.square(mu), 0.0) / freedom * (1.0 + math.sqrt(2.0 / freedom))
    per_pane = rows / panes
    expected = per_pane * np.array([w.inflation(per_pane) for w in original])
    held = np.square([w.sigma for w in original])
    return np.asarray(np.minimum(np.maximum(held, between / expected), 1.0 - np.square(mu)))


def _refit(
    w: Witness, mu: float, variance: float, b: tuple[float, float], n: Floats, settings: DetectionSettings
) -> Witness:
    if not (w.up or w.down):
        return w
    if variance < FLAT**2:
        return msgspec.structs.replace(w, mu=mu, sigma=1.0, up=False, down=False)
    sigma = math.sqrt(variance)
    fitted = msgspec.structs.replace(w, mu=mu, sigma=sigma, b=max(w.b, b[0]), b_within=max(w.b_within, b[1]))
    error = settings.z_ref * sigma * math.sqrt(fitted.inflation(float(n.sum()), len(n)))
    return msgspec.structs.replace(fitted, eps=max(settings.min_effect_sd * sigma, error))


def moved_together(
    original: JointReference, spans: Sequence[Shown], settings: DetectionSettings
) -> tuple[float, list[str]]:
    """How far the feature that has moved most is from the original's mean, beyond what sampling gives, in total
    variation: that of two normals of its SD; and the columns it looks at. 0 and none where no feature is looked at.

    The least that the law of the columns can have moved in total variation, half the difference of the means, is less
    than that for every feature of an SD below .8."""
    rows, panes = float(sum(span.rows for span in spans)), len(spans)
    mu = np.sum([span.sums for span in spans], axis=0) / (rows * UNIT)
    found: tuple[float, list[str]] = (0.0, [])
    for w, mean, group in zip(original.witnesses, mu.tolist(), original.groups, strict=True):
        if not (w.up or w.down):
            continue
        noise = w.inflation(original.rows, max(original.units, 1)) + w.inflation(rows, panes)
        beyond = max(0.0, abs(mean - w.mu) / w.sigma - settings.z_ref * math.sqrt(noise))
        found = max(found, (2.0 * _NORMAL.cdf(beyond / 2.0) - 1.0, group), key=lambda one: one[0])
    return found
