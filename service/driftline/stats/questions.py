"""Which witnesses a column has, and what is known of each before its variance is fitted.

Numeric: shares at the reference quantiles .02 .1 .2 ... .9 .98, winsorised mean (prior .35) and spread (1/8).
Categorical: the share of each category of 1 % or more, of the others. Error: its rate, and loss: its mean, both only
upwards. What is missing, unseen or out of range is asked in `quality`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.coarse import LEVELS, TAIL_LEVEL
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import SMALL_SHARE, Form, share_step

Floats = NDArray[np.float64]

MEAN_WEIGHT: Final = 0.35
SPREAD_WEIGHT: Final = 0.125
TAILED: Final = ("abs_error", "latency_ms")
LOSSES: Final = ("abs_error", "loss")
"""Columns of which only more is worse."""


@dataclass(frozen=True, slots=True)
class Question:
    """A witness without its variance. `smallest`: the least change worth a page, in units of f. `prior`: its
    weight, 0 for an equal part of what the others leave."""

    form: Form
    bin: int
    label: str
    smallest: float
    mu: float
    sigma: float
    prior: float = 0.0
    up: bool = True
    down: bool = True
    complement: bool = False


def levels_of(name: str) -> tuple[float, ...]:
    return (*LEVELS, TAIL_LEVEL) if name in TAILED else LEVELS


def smoothed_share(count: int, n: int) -> float:
    """Half an event each way: a share of 0 would make any one event infinite evidence."""
    return (count + 0.5) / (n + 1.0)


def rate_effect(share: float, settings: DetectionSettings) -> float:
    """The smaller of `min_rate_effect` and a quarter of the share; shares below 1 % count as 1 %, or any single
    event of something new would be a page."""
    return min(settings.min_rate_effect, max(share, SMALL_SHARE) / 4.0)


def ask_share(
    form: Form, bin_: int, label: str, share: float, smallest: float, *, up: bool = True, down: bool = True
) -> Question:
    """A question about a share, whatever of."""
    sigma = math.sqrt(share * (1.0 - share))
    return Question(form, bin_, label, smallest, share, sigma, up=up, down=down)


def ask_error(errors: int, n: int, settings: DetectionSettings) -> Question:
    share = smoothed_share(errors, n)
    return ask_share("is", 1, "error", share, rate_effect(share, settings), down=False)


def ask_loss(mean: float, sd: float, settings: DetectionSettings) -> list[Question]:
    """`mean` and `sd` of the loss, a number in [0, 1]; none where it never varies."""
    if sd <= 0.0:
        return []
    return [Question("mean", 0, "mean", rate_effect(mean, settings) / sd, 0.0, 1.0, down=False)]


def ask_categories(counts: NDArray[np.int64], names: list[str], settings: DetectionSettings) -> list[Question]:
    """`counts` of the coarse bins, `names` of the categories with a bin of their own."""
    n = int(counts[: len(names) + 2].sum())
    found = []
    for bin_, name in enumerate(names):
        share = smoothed_share(int(counts[bin_]), n)
        found.append(ask_share("is", bin_, f'"{printable(name)}"', share, rate_effect(share, settings)))
    rarer = len(names)
    if counts[rarer]:
        share = smoothed_share(int(counts[rarer]), n)
        found.append(ask_share("is", rarer, "the rarer categories", share, rate_effect(share, settings)))
    return found


def ask_numbers(
    name: str, shares: Floats, n: int, cuts: list[tuple[int, str, str]], scores: Floats, settings: DetectionSettings
) -> list[Question]:
    """`shares` of n values over the coarse bins, `cuts` as (coarse bin, words for below, words for above),
    `scores` the standardised representatives (all 0 in a constant column: it has no mean or spread to watch)."""
    loss = name in LOSSES
    found = []
    counts = shares * n
    for cut, below, above in cuts:
        share = smoothed_share(round(float(counts[:cut].sum())), n)
        upper = share >= 0.5
        smallest = settings.min_effect_sd * share_step(share)
        sigma = math.sqrt(share * (1.0 - share))
        label = above if upper else below
        found.append(Question("below", cut, label, smallest, share, sigma, 0.0, not loss, True, upper))
    if not scores.any():
        return found
    smallest = settings.min_effect_sd
    found.append(Question("mean", 0, "mean", smallest, 0.0, 1.0, MEAN_WEIGHT, True, not loss))
    squares = np.square(scores)
    mu = float(shares @ squares)
    sigma = math.sqrt(max(float(shares @ np.square(squares - mu)), 0.0))
    if sigma > 1e-9:
        found.append(Question("spread", 0, "spread", smallest * sigma, mu, sigma, SPREAD_WEIGHT, True, not loss))
    return found


def printable(text: str) -> str:
    """A category's name as people may safely read it: printable, 40 characters at the most."""
    clean = "".join(ch if ch.isprintable() else "?" for ch in text[:40])
    return clean + "…" if len(text) > 40 else clean
