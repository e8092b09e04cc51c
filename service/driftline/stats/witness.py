"""Witnesses: bounded functions of a column's coarse bins whose mean over a unit is judged.

For each witness, sign s and size d the log likelihood ratio of a unit is affine in the unit's mean y,

    l(s, d) = n_eff (slope(s, d) y + offset(s, d)),

against the boundary of the null, mu + s eps: the smallest change worth a page lies inside the null. Shares and
0/1 errors use the exact Bernoulli ratio, means and spreads the exponential tilt with the reference's own cumulant
(`driftline.stats.cbe` runs them all in one pass). The same two forms, turned round, say that an effect is over.

Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2022).
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Law = tuple[Floats, Floats]
"""Values and their shares."""

WIDTH: Final = 64
"""Coarse bins of a column, the last of which counts the cells without a usable value."""
MISSING_BIN: Final = WIDTH - 1

UP: Final = 0
DOWN: Final = 1
SIGNS: Final = (1.0, -1.0)
EFFECTS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Sizes d in reference SDs of the witness."""
EFFECT_PRIOR: Final = (0.1, 0.3, 0.35, 0.15, 0.1)
"""Weights of the sizes. A nat costs most time at .05, where nobody waits for a few per cent more, and none at .8, where
a single unit says more than enough."""

SMALL_SHARE: Final = 0.01
"""Shares below this are given the step and the smallest effect of this one: a share of 0 has neither."""

Form = Literal["below", "is", "mean", "spread", "joint"]
"""below: share of values in coarse bins < `bin`; is: share of values in coarse bin `bin`; mean: the winsorised
mean in reference SDs; spread: mean squared distance from the reference mean, likewise; joint: the mean of feature
`bin` of the embedding."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """One question with its reference: expectation `mu`, SD `sigma` of one event, variance of a unit's mean
    sigma^2 max(a/n + b, a_within/n + b_within) (`variance` says why), and the smallest change that can be
    detected, `eps`. `weight` is its prior (they sum to 1
    in a monitor), `up` and `down` which directions matter. `label` names it for people; `complement` says that
    people are told 1 - y (the share above rather than the share below)."""

    form: Form
    bin: int
    label: str
    weight: float
    mu: float
    sigma: float
    a: float
    b: float
    a_within: float
    b_within: float
    eps: float
    up: bool = True
    down: bool = True
    complement: bool = False

    def inflation(self, n: float, units: float = 1.0) -> float:
        """Variance of the mean of n events in so many units, in sigma^2."""
        return max(self.a / n + self.b / units, self.a_within / n + self.b_within / units)

    @property
    def share(self) -> bool:
        return self.form in ("below", "is")


def tail_variance(common: float, sigma: float, slope: Floats) -> Floats:
    """What cells of these slopes add to the variance of a unit's mean, in sigma^2, because what the events of a pane
    have in common, of variance `common` in theirs, also enters witnesses squared: as (e^2 - common) / sqrt(2) into the
    spread, which is the most curved of all.

    Guarantee: let e be normal, v = a/n + b. At the tilt t = n_eff d, d = sigma slope, the cumulant of the unit's mean
    is t^2 v / (2 (1 - c t)) or less, c = sqrt(2) common (that of a squared normal, in Bernstein's form). Evidence sets
    about n_eff d^2 / 2 against it (just that under a normal law), which is as much or more where
    n_eff <= 1 / (v + c d): evidence of a quiet unit is then worth 1 at most, however many events it holds. With 1 / v
    alone more events only lay bare the tail of e^2.

    S. Boucheron, G. Lugosi, P. Massart, "Concentration Inequalities" (2013), section 2.4."""
    return np.asarray(math.sqrt(2.0) * common * sigma * np.abs(slope))


def witness_values(form: Form, bin_: int, scores: Floats) -> Floats:
    """f over the WIDTH coarse bins. `scores` are the standardised representatives of the value bins."""
    f = np.zeros(WIDTH)
    match form:
        case "below":
            f[:bin_] = 1.0
        case "is":
            f[bin_] = 1.0
        case "mean":
            f[: len(scores)] = scores
        case "spread":
            f[: len(scores)] = np.square(scores)
    return f


def share_step(share: float) -> float:
    """SD of an indicator with this share, that of `SMALL_SHARE` at the least."""
    return float(np.sqrt(max(share * (1.0 - share), SMALL_SHARE * (1.0 - SMALL_SHARE))))


def bernoulli_evidence(mu: float, eps: float, sign: float) -> tuple[Floats, Floats] | None:
    """(slope, offset), float64 [5] each, for a share that has left mu by more than eps in direction `sign`.

    The alternatives are d SDs beyond the boundary and stop at three quarters of the way to 0 or 1. None where
    the boundary itself lies outside (0, 1): such a change cannot happen.
    """
    edge = mu + sign * eps
    if not 0.0 < edge < 1.0:
        return None
    room = 0.75 * (1.0 - edge if sign > 0 else edge)
    q = edge + sign * np.minimum(np.asarray(EFFECTS) * share_step(mu), room)
    return _bernoulli(q, edge)


def bernoulli_recovery(mu: float, eps: float, sign: float) -> tuple[float, float]:
    """(slope, offset) of the ratio of "no effect" to "the share is still eps away in direction `sign`"."""
    slope, offset = _bernoulli(np.array([mu]), min(max(mu + sign * eps, 1e-9), 1.0 - 1e-9))
    return float(slope[0]), float(offset[0])


def _bernoulli(q: Floats, p: float) -> tuple[Floats, Floats]:
    success, failure = np.log(q / p), np.log((1.0 - q) / (1.0 - p))
    return success - failure, failure


def tilt_evidence(f: Floats, p: Floats, mu: float, eps: float, sign: float) -> tuple[Floats, Floats]:
    """(slope, offset), float64 [5] each, for a mean of f that has left mu by more than eps: theta = d / sigma,
    with the cumulant of f under the reference shares p."""
    sigma = float(np.sqrt(p @ np.square(f - mu)))
    theta = np.asarray(EFFECTS) / sigma
    return theta * sign, -theta * sign * mu - theta * eps - _cumulant(theta, sign, f, p, mu)


def tilt_recovery(f: Floats, p: Floats, mu: float, eps: float, sign: float) -> tuple[float, float]:
    """(slope, offset) of the tilt against "the mean is still eps away in direction `sign`", with the tilt that
    grows fastest where there is no effect."""
    theta = eps / float(p @ np.square(f - mu)) * np.exp2(-np.arange(8.0))
    growth = theta * eps - _cumulant(theta, -sign, f, p, mu)
    best = int(np.argmax(growth))
    return float(-sign * theta[best]), float(theta[best] * sign * mu + growth[best])


def worst_law(mu: float, sigma: float, sign: float) -> Law:
    """float64 [2] each: of all laws on [-1, 1] with this mean and this SD or less, the one whose
    tilt in direction `sign` weighs most. Evidence with its cumulant is right whatever the law: all but the mean and
    the variance need not be known. `sigma` is at most sqrt(1 - mu^2).

    G. Bennett, "Probability inequalities for the sum of independent random variables", JASA 57 (1962)."""
    room, variance = max(1.0 - sign * mu, 1e-9), sigma * sigma
    values = np.array([sign, mu - sign * variance / room])
    shares = np.array([variance, room * room])
    return values, shares / shares.sum()


def _cumulant(theta: Floats, sign: float, f: Floats, p: Floats, mu: float) -> Floats:
    seen = p > 0.0
    exponents = theta[:, None] * sign * (f[seen] - mu)
    top = exponents.max(axis=1)
    return np.asarray(top + np.log(np.exp(exponents - top[:, None]) @ p[seen]))
