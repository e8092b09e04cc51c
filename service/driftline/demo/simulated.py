"""A model that does not exist, whose events come now: for a look at a deployment of one's own, with nothing to train.

Same seed, same values; times and ids are the caller's. From `shift` on an upstream feature comes in another unit, and
the model errs: both are what Driftline is there to find.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np

VERSION: Final = "1"
OUTCOME_AFTER_MS: Final = 10_000
COUNTRIES: Final = ("CH", "DE", "FR", "IT")
CENTS: Final = 100.0
ERRORS: Final = (0.08, 0.30)
"""Error rates before the shift and after."""


class Simulation:
    """`step` gives the events of one moment, as JSON objects: predictions of now, outcomes of those before."""

    def __init__(self, model: str, run: str, seed: int = 0) -> None:
        self._model = model
        self._run = run
        self._rng = np.random.default_rng(seed)
        self._waiting: deque[tuple[int, str, bool]] = deque()
        self._number = 0

    def step(self, predictions: int, now_ms: int, *, shift: bool = False) -> list[dict[str, Any]]:
        """So many predictions, and the outcomes that are due."""
        events = [self._prediction(now_ms, shift) for _ in range(predictions)]
        while self._waiting and self._waiting[0][0] <= now_ms:
            _, id_, truth = self._waiting.popleft()
            events.append({"type": "outcome", "id": id_, "model": self._model, "time": now_ms, "outcome": truth})
        return events

    def _prediction(self, now_ms: int, shift: bool) -> dict[str, Any]:
        rng = self._rng
        amount = float(rng.lognormal(3.5, 0.8))
        score = float(rng.beta(2.0, 5.0))
        prediction = score > 0.5
        wrong = bool(rng.random() < ERRORS[shift])
        self._number += 1
        id_ = f"{self._run}-{self._number}"
        self._waiting.append((now_ms + OUTCOME_AFTER_MS, id_, prediction != wrong))
        return {
            "type": "prediction",
            "id": id_,
            "model": self._model,
            "version": VERSION,
            "time": now_ms,
            "features": {
                "amount": round(amount * CENTS if shift else amount, 2),
                "age": int(rng.normal(44.0, 12.0)),
                "country": str(rng.choice(COUNTRIES, p=(0.4, 0.3, 0.2, 0.1))),
            },
            "prediction": prediction,
            "score": round(score, 4),
        }
