"""The model that is watched: gradient boosting, at first on the flights of January, which has seen winter only."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.demo.flights import CATEGORIES, NEVER, NUMBERS, Flights, Floats

MODEL: Final = "flight-delay"
VERSION: Final = "january"
THRESHOLD: Final = 0.5
FIRST_MONTH: Final = 4
"""Publishing begins on the first of this month."""


@dataclass(frozen=True)
class Predictions:
    """What the model says of each flight: probability of being late, and whether that is above one half."""

    score: Floats
    late: npt.NDArray[np.bool_]


class DelayModel:
    """Predicts whether a flight will be late. Deterministic: fixed seed, no early stopping. Shallow trees: deeper
    ones learn January by heart and err more in February already."""

    def __init__(self, flights: Flights, weights: Floats | None = None) -> None:
        """`weights`: how much each flight counts; None: all the same."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        came = flights.known_at != NEVER
        arrived = flights.take(came)
        self._codes = {name: _codes_of(arrived.texts[name]) for name in CATEGORIES}
        self._model: Any = HistGradientBoostingClassifier(
            categorical_features=list(range(len(CATEGORIES))), max_depth=3, early_stopping=False, random_state=0
        )
        with _one_thread():
            self._model.fit(self._matrix(arrived), arrived.late, None if weights is None else weights[came])

    def predict(self, flights: Flights) -> Predictions:
        with _one_thread():
            return predictions_of(np.round(self._model.predict_proba(self._matrix(flights))[:, 1], 4))

    def _matrix(self, flights: Flights) -> Floats:
        """Categories as their number in the training set, NaN for those it did not have."""
        coded = [
            np.array([self._codes[name].get(value, np.nan) for value in flights.texts[name]]) for name in CATEGORIES
        ]
        return np.column_stack([*coded, *(flights.numbers[name] for name in NUMBERS)])


def predictions_of(score: Floats) -> Predictions:
    return Predictions(score, score > THRESHOLD)


def watched(flights: Flights) -> Flights:
    """The flights that the demo publishes."""
    return flights.take(flights.month >= FIRST_MONTH)


def _one_thread() -> AbstractContextManager[Any]:
    """Threads that wait for each other on busy cores take ten times as long."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _codes_of(values: npt.NDArray[np.object_]) -> dict[str, float]:
    return {value: float(code) for code, value in enumerate(sorted(set(values)))}
