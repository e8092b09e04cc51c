"""The model that is watched: gradient boosting on the flights of January, which has seen winter only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.demo.flights import CATEGORIES, NUMBERS, Flights, Floats

MODEL: Final = "flight-delay"
VERSION: Final = "january"
THRESHOLD: Final = 0.5


@dataclass(frozen=True)
class Predictions:
    """What the model says of each flight: probability of being late, and whether that is above one half."""

    score: Floats
    late: npt.NDArray[np.bool_]


class DelayModel:
    """Predicts whether a flight will be late. Deterministic: fixed seed, no early stopping. Shallow trees: deeper
    ones learn January by heart and err more in February already."""

    def __init__(self, january: Flights) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        arrived = january.take(january.known_at >= 0)
        self._codes = {name: _codes_of(arrived.texts[name]) for name in CATEGORIES}
        self._model: Any = HistGradientBoostingClassifier(
            categorical_features=list(range(len(CATEGORIES))), max_depth=3, early_stopping=False, random_state=0
        )
        self._model.fit(self._matrix(arrived), arrived.late)

    def predict(self, flights: Flights) -> Predictions:
        score: Floats = np.round(self._model.predict_proba(self._matrix(flights))[:, 1], 4)
        return Predictions(score, score > THRESHOLD)

    def _matrix(self, flights: Flights) -> Floats:
        """Categories as their number in January, NaN for those that January did not have."""
        coded = [
            np.array([self._codes[name].get(value, np.nan) for value in flights.texts[name]]) for name in CATEGORIES
        ]
        return np.column_stack([*coded, *(flights.numbers[name] for name in NUMBERS)])


def _codes_of(values: npt.NDArray[np.object_]) -> dict[str, float]:
    return {value: float(code) for code, value in enumerate(sorted(set(values)))}
