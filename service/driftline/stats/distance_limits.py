"""The fixed thresholds on distances of one stream of a model (`distance_rules`): which are crossed.

A threshold that chance alone comes near, beyond it in one batch of a thousand or more, is not judged, and says so.
Memory: the coarse counts of one batch for each rule and column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Distances
from driftline.errors import StateCorrupt
from driftline.stats.change import Change, no_longer
from driftline.stats.distance_rules import NAMES, ORDERED, DistanceRule
from driftline.stats.distances import distances
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import MISSING_BIN, WIDTH
from driftline.stats.wording import moment, number

Counts = NDArray[np.int64]

RARE: Final = 3.09
"""Of a normal one in a thousand is beyond so many SDs."""
LEAST: Final = 5.0
THIN: Final = 0.02
"""Bins that expect fewer than LEAST values of a batch may hold so much of the reference: else PSI and divergence are no
chi-squared, and a bin that happens to be empty is beyond what is rare."""
RARE_KS: Final = 2.44
RARE_WASSERSTEIN: Final = 4.1
"""Times the mean: what one in a thousand exceeds, by Kolmogorov's law; and of |z|, no area between two distribution
functions being heavier than that of two bins."""


@dataclass
class Threshold:
    """One rule on the monitored column at place `at`. `counts`: of the batch so far, since `since` (ms)."""

    rule: DistanceRule
    column: ColumnReference
    at: int
    counts: Counts
    since: int = -1
    alarm: bool = False

    @property
    def monitor(self) -> str:
        return self.rule.monitor(self.column.name)

    @cached_property
    def by_chance(self) -> tuple[float, float]:
        """About how far a batch of one law is from the reference: on average, and in one batch of a thousand. PSI and
        8 ln 2 times the divergence are chi-squared there, with one degree for each bin but one, over the number of
        values (for the rare one: Wilson and Hilferty). The mean of KS is that of Kolmogorov's law less what bins hide,
        that of Wasserstein of |F_n - F| over the axis."""
        noise = self._noise
        degrees = max(int((self.column.coarse_counts > 0).sum()), 2) - 1
        most = (1.0 - 2.0 / (9.0 * degrees) + RARE * math.sqrt(2.0 / (9.0 * degrees))) ** 3
        match self.rule.distance:
            case "psi":
                return degrees * noise, degrees * noise * most
            case "js":
                mean = degrees * noise / (8.0 * math.log(2.0))
                return mean, mean * most
            case "ks":
                mean = 0.8 * math.sqrt(noise)
                return mean, mean * RARE_KS
            case "wasserstein_sd":
                below = np.cumsum(self.column.shares[: len(self.column.scores)])[:-1]
                spread = np.sqrt(np.clip(below * (1.0 - below), 0.0, None)) @ np.diff(self.column.scores)
                mean = math.sqrt(2.0 / math.pi * noise) * float(spread)
                return mean, mean * RARE_WASSERSTEIN

    @property
    def _noise(self) -> float:
        """Variance of the share of a bin in a batch less that in the reference, over that of a single value."""
        known = max(int(self.column.coarse_counts[:MISSING_BIN].sum()), 1)
        return self._inflation * (1.0 / self.rule.events + 1.0 / known)

    @property
    def _inflation(self) -> float:
        """How many values of a batch say as much as one independent one."""
        column, n = self.column, float(self.rule.events)
        units = max(1.0, n * column.units / max(column.rows, 1))
        return max(1.0, n * float(np.median([w.inflation(n, units) for w in column.witnesses] or [1.0 / n])))

    @property
    def _enough(self) -> int:
        """Values from which the bins of a batch are filled."""
        if self.rule.distance in ORDERED:
            return 1
        shares = np.sort(self.column.coarse_counts[self.column.coarse_counts > 0] / self.column.coarse_counts.sum())
        thinnest = shares[np.searchsorted(np.cumsum(shares), THIN, side="right")]
        return math.ceil(LEAST / float(thinnest) * self._inflation)

    @cached_property
    def why_not(self) -> str:
        """Why it is not judged; empty where it is."""
        mean, most = self.by_chance
        if self.rule.above >= most:
            if self.rule.events >= self._enough:
                return ""
            return (
                f"{self.rule.events:,} values leave some of its bins all but empty by chance: give it "
                f"{self._enough:,} events or more"
            )
        return (
            f"by chance alone the {NAMES[self.rule.distance]} of {self.rule.events:,} values would be about "
            f"{mean:.2g}, and {most:.2g} now and then: give it more events, or a threshold beyond that"
        )

    def take(self, coarse: Counts, start: int) -> Distances | None:
        """A pane's coarse counts [WIDTH]; the distances of the batch that it completes."""
        if self.since < 0:
            self.since = start
        self.counts += coarse
        if int(self.counts[:MISSING_BIN].sum()) < self.rule.events:
            return None
        ascending = np.asarray(self.column.scores) if self.column.kind == "numeric" else None
        found = distances(self.column.coarse_counts, self.counts, ascending)
        self.counts[:] = 0
        return found

    def told(self, found: Distances, value: float, since: int, end: int) -> Change:
        rule, crossed = self.rule, not self.alarm
        return Change(
            monitor=self.monitor,
            state="alarm" if crossed else "resolved",
            severity="warning",
            time=end,
            onset=since,
            sentence=(
                f"{self.column.name}: the {NAMES[rule.distance]} from the reference is "
                f"{'above its threshold of' if crossed else 'back within'} {rule.above:g}: {number(value)} "
                f"over {found.n:,} rows since {moment(since)}."
            ),
            distances=found,
        )


class DistanceLimits:
    """`update` with every pane. `settings`: as they are for this model (`for_model`)."""

    def __init__(self, section: Section, settings: DetectionSettings) -> None:
        # Of two rules that ask the same of a column the first counts.
        wanted = {
            rule.monitor(column.name): Threshold(rule, column, at, np.zeros(WIDTH, np.int64))
            for rule in reversed(settings.distances)
            for at, column in enumerate(section.monitored)
            if _concerns(rule, column)
        }
        self.thresholds = [wanted[name] for name in sorted(wanted)]
        self._shape = len(section.monitored), WIDTH
        self.dropped: list[str] = []
        """In alarm when the configuration gave them up."""

    def update(self, start: int, end: int, coarse: Counts) -> list[Change]:
        """The pane from `start` to `end` ms: coarse counts [monitored columns, WIDTH]. Raises ValueError for others."""
        if coarse.shape != self._shape:
            raise ValueError(f"counts of shape {coarse.shape}, wanted {self._shape}")
        changes = self.end_dropped(end)
        for one in self.thresholds:
            if one.why_not or (found := one.take(coarse[one.at], start)) is None:
                continue
            since, one.since = one.since, -1
            value = getattr(found, one.rule.distance)
            if value is not None and (value > one.rule.above) != one.alarm:
                changes.append(one.told(found, value, since, end))
                one.alarm = not one.alarm
        return changes

    def end_dropped(self, at: int) -> list[Change]:
        """What was in alarm when the configuration lost it is over, and says why; once."""
        dropped, self.dropped = self.dropped, []
        return [no_longer(name, at, f"{name} was taken out of the configuration") for name in dropped]

    def describe(self) -> list[str]:
        """Each threshold in words, and what is to be thought of it."""
        lines = []
        for one in self.thresholds:
            mean, most = one.by_chance
            words = one.why_not or (
                f"in batches of {one.rule.events:,} values; by chance about {number(mean)}, and more than "
                f"{number(most)} in one batch of a thousand"
            )
            beyond = "above it, " if one.alarm else ""
            lines.append(f"{one.monitor}: {'not judged: ' if one.why_not else beyond}{words}")
        return lines

    @property
    def in_alarm(self) -> list[str]:
        return [*(one.monitor for one in self.thresholds if one.alarm), *self.dropped]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        of = {
            one.monitor: {"counts": one.counts, "since": one.since, "alarm": one.alarm} for one in self.thresholds
        }
        return {"of": of, "dropped": sorted(self.dropped)}

    def restore(self, state: dict[str, Any]) -> None:
        """Thresholds that the configuration has gained start cold; those it has lost are `dropped` if in alarm.
        Raises StateCorrupt for what `to_state` did not give."""
        try:
            held = dict(state["of"])
            for one in self.thresholds:
                known = held.pop(one.monitor, None)
                if known is not None:
                    if known["counts"].shape != (WIDTH,):
                        raise ValueError(f"counts of shape {known['counts'].shape}")
                    one.counts[:] = known["counts"]
                    one.since, one.alarm = int(known["since"]), bool(known["alarm"])
            self.dropped = sorted([*state["dropped"], *(name for name, known in held.items() if known["alarm"])])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StateCorrupt(f"thresholds: {error}") from None


def _concerns(rule: DistanceRule, column: ColumnReference) -> bool:
    """Whether it asks about the values of this column, and they have such a distance."""
    values = column.aspect == "values" and column.kind != "rate"
    ordered = column.kind == "numeric" or rule.distance not in ORDERED
    return values and ordered and fnmatchcase(column.name, rule.column)
