"""Did retraining help? Two versions on the same flights, and an error bar that knows that bad days come whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from driftline.demo.flights import NEVER, Flights, Ints
from driftline.demo.model import Predictions
from driftline.demo.pace import DAY_MS

Answer = Literal["helped", "made no difference", "made it worse"]
Rows = npt.NDArray[np.bool_]
_STANDARD_ERRORS: Final = 2.0


@dataclass(frozen=True)
class Comparison:
    """Error rates over the same `n` flights. `difference` is new minus old, `bar` two standard errors of it."""

    n: int
    new: float
    old: float
    difference: float
    bar: float

    @property
    def answer(self) -> Answer:
        if self.difference + self.bar < 0:
            return "helped"
        return "made it worse" if self.difference - self.bar > 0 else "made no difference"


def error_rate(flights: Flights, said: Predictions, rows: Rows) -> float | None:
    """The share of wrong answers among `rows` whose outcome is known; None without any."""
    rows = rows & (flights.known_at != NEVER)
    return float((said.late[rows] != flights.late[rows]).mean()) if rows.any() else None


def compare(flights: Flights, new: Predictions, old: Predictions, rows: Rows) -> Comparison | None:
    """Both versions on `rows` whose outcome is known; None without any. Flights of a day share its weather, so the
    error bar is that of the days' sums (a mean over clusters), not of flights."""
    rows = rows & (flights.known_at != NEVER)
    if not rows.any():
        return None
    wrong_new = (new.late[rows] != flights.late[rows]).astype(np.float64)
    wrong_old = (old.late[rows] != flights.late[rows]).astype(np.float64)
    n = len(wrong_new)
    difference = float((wrong_new - wrong_old).mean())
    days: Ints = flights.time[rows] // DAY_MS
    days -= days.min()
    beyond = np.bincount(days, wrong_new - wrong_old) - difference * np.bincount(days)
    bar = _STANDARD_ERRORS * float(np.sqrt((beyond**2).sum())) / n
    return Comparison(n, float(wrong_new.mean()), float(wrong_old.mean()), difference, bar)


def by_month(flights: Flights, new: Predictions, old: Predictions, rows: Rows) -> list[dict[str, Any]]:
    """The comparison month by month."""
    found = []
    for month in sorted(set(flights.month[rows].tolist())):
        one = compare(flights, new, old, rows & (flights.month == month))
        if one is not None:
            found.append(
                {
                    "month": month,
                    "flights": one.n,
                    "error_after": round(one.new, 4),
                    "error_without": round(one.old, 4),
                    "answer": one.answer,
                }
            )
    return found
