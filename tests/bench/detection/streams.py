"""Laws that events are drawn from: quiet ones, which no detector should speak on, and changes with what is known
of them. Sources of the figures: docs/detection.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]
"""(rng, events, columns) -> float64 [events, columns], independent columns of one law, in order of time."""

SEASON_EVENTS: Final = 10_000


def _lognormal(rng: np.random.Generator, n: int, k: int) -> Floats:
    return rng.lognormal(size=(n, k))


def _zero_inflated(rng: np.random.Generator, n: int, k: int) -> Floats:
    return np.where(rng.random((n, k)) < 0.7, 0.0, rng.lognormal(size=(n, k)))


def _autoregressive(phi: float) -> Draw:
    def draw(rng: np.random.Generator, n: int, k: int) -> Floats:
        noise = rng.normal(size=(n + 200, k)) * np.sqrt(1.0 - phi * phi)
        return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=0)[200:])

    return draw


def _seasonal(rng: np.random.Generator, n: int, k: int) -> Floats:
    wave = 0.5 * np.sin(2.0 * np.pi * np.arange(n) / SEASON_EVENTS)
    return rng.normal(size=(n, k)) + wave[:, None]


QUIET: Final[dict[str, Draw]] = {
    "normal": lambda rng, n, k: rng.normal(size=(n, k)),
    "uniform": lambda rng, n, k: rng.random((n, k)),
    "lognormal": _lognormal,
    "t3": lambda rng, n, k: rng.standard_t(3, (n, k)),
    "Pareto 1.5": lambda rng, n, k: rng.pareto(1.5, (n, k)),
    "Poisson 3": lambda rng, n, k: rng.poisson(3.0, (n, k)).astype(np.float64),
    "zero-inflated 70 %": _zero_inflated,
    "N(1000, 100)": lambda rng, n, k: rng.normal(1000.0, 100.0, (n, k)),
    "AR(1) .5": _autoregressive(0.5),
    "AR(1) .9": _autoregressive(0.9),
    "season 0.5 sin": _seasonal,
}


def pane_effects(share: float, pane: int) -> Draw:
    """Normal events of variance 1, of which `share` is common to each pane of `pane` events."""

    def draw(rng: np.random.Generator, n: int, k: int) -> Floats:
        common = rng.normal(size=(-(-n // pane), k)) * np.sqrt(share)
        return np.asarray(np.repeat(common, pane, axis=0)[:n] + rng.normal(size=(n, k)) * np.sqrt(1.0 - share))

    return draw


@dataclass(frozen=True, slots=True)
class Change:
    """From `before` to `after`; `kl`: nats a single event tells of it. `kind`: what the values are."""

    name: str
    kind: str
    before: Draw
    after: Draw
    kl: float
    goal: int
    """Median delay in events that we hold ourselves to (`docs/detection.md`, G2 and G3)."""


def floor(kl: float, arl0: float) -> float:
    """The least delay (events) that any detector with this ARL0 can have: (ln(ARL0 K) - 1) / K."""
    return float((np.log(arl0 * kl) - 1.0) / kl)


def _normal(mean: float, sd: float) -> Draw:
    return lambda rng, n, k: rng.normal(mean, sd, (n, k))


def _rate(p: float) -> Draw:
    return lambda rng, n, k: (rng.random((n, k)) < p).astype(np.float64)


def _categories(shares: tuple[float, ...]) -> Draw:
    return lambda rng, n, k: rng.choice(len(shares), (n, k), p=shares).astype(np.float64)


def _t3(rng: np.random.Generator, n: int, k: int) -> Floats:
    return np.asarray(rng.standard_t(3, (n, k)) / np.sqrt(3.0))


def _skewed(rng: np.random.Generator, n: int, k: int) -> Floats:
    return rng.exponential(size=(n, k)) - 1.0


def _bimodal(rng: np.random.Generator, n: int, k: int) -> Floats:
    return np.asarray(rng.choice([-0.8, 0.8], (n, k)) + rng.normal(0.0, 0.6, (n, k)))


def _kl_grid(after: Callable[[Floats], Floats]) -> float:
    """KL divergence of a density from the standard normal's, by quadrature on [-12, 12]."""
    x = np.linspace(-12.0, 12.0, 240_001)
    normal = np.exp(-x * x / 2.0) / np.sqrt(2.0 * np.pi)
    p = np.maximum(after(x), 1e-300)
    return float(np.sum(p * (np.log(p) - np.log(np.maximum(normal, 1e-300)))) * (x[1] - x[0]))


def _kl_shares(after: tuple[float, ...], before: tuple[float, ...]) -> float:
    p, q = np.asarray(after), np.asarray(before)
    return float(sum(x * np.log(x / y) for x, y in zip(p, q, strict=True) if x > 0.0))


def _density_t3(x: Floats) -> Floats:
    y = x * np.sqrt(3.0)
    return np.asarray(np.sqrt(3.0) * 2.0 / (np.pi * np.sqrt(3.0)) / np.square(1.0 + y * y / 3.0))


def _density_skewed(x: Floats) -> Floats:
    return np.where(x >= -1.0, np.exp(-(np.maximum(x, -1.0) + 1.0)), 0.0)


def _density_bimodal(x: Floats) -> Floats:
    each = [np.exp(-np.square((x - m) / 0.6) / 2.0) / (0.6 * np.sqrt(2.0 * np.pi)) for m in (-0.8, 0.8)]
    return np.asarray((each[0] + each[1]) / 2.0)


_FIVE: Final = (0.2,) * 5
_TEN: Final = (0.1,) * 10


def _moved(shares: tuple[float, ...], mass: float, goal: int) -> Change:
    """`mass` goes from one category to the next: a total variation of as much."""
    after = (shares[0] - mass, shares[1] + mass, *shares[2:])
    name = f"{len(shares)} categories, {mass:.2f} moved"
    return Change(name, "category", _categories(shares), _categories(after), _kl_shares(after, shares), goal)


_QUIET: Final = _normal(0.0, 1.0)


def _mean(shift: float, goal: int) -> Change:
    return Change(f"mean +{shift:g} SD", "numeric", _QUIET, _normal(shift, 1.0), shift * shift / 2.0, goal)


def _error(before: float, after: float, goal: int) -> Change:
    kl = _kl_shares((after, 1.0 - after), (before, 1.0 - before))
    return Change(f"error {before:.2f} to {after:.2f}", "error", _rate(before), _rate(after), kl, goal)


MEANS: Final = (_mean(0.1, 3_700), _mean(0.2, 850), _mean(0.5, 220), _mean(1.0, 130))
SHAPES: Final = (
    Change("SD x 1.25", "numeric", _QUIET, _normal(0.0, 1.25), 0.28125 - float(np.log(1.25)), 450),
    Change("t3, same mean and SD", "numeric", _QUIET, _t3, _kl_grid(_density_t3), 700),
    Change("skewed, same mean and SD", "numeric", _QUIET, _skewed, _kl_grid(_density_skewed), 700),
    Change("bimodal, same mean and SD", "numeric", _QUIET, _bimodal, _kl_grid(_density_bimodal), 3_500),
    _moved(_FIVE, 0.05, 1_000),
    _moved(_FIVE, 0.10, 350),
    _moved(_TEN, 0.05, 1_000),
    _moved(_TEN, 0.10, 350),
    _error(0.10, 0.15, 1_250),
    _error(0.10, 0.20, 400),
    _error(0.02, 0.04, 1_600),
)
