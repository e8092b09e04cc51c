"""What the demo publishes: flights as prediction and outcome events, with copies and poison mixed in."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from driftline.demo.flights import CATEGORIES, MINUTE_MS, NEVER, NUMBERS, Flights, Ints, Texts
from driftline.demo.model import MODEL, VERSION, Predictions
from driftline.demo.poison import KINDS, spoil
from driftline.runtime.log import Outgoing

PREDICTION: Final = 0
OUTCOME: Final = 1
COPY: Final = 2
POISON: Final = 3

COPIES: Final = 1_000
SPOILT: Final = 100
COPY_DELAY_MIN: Final = 10
"""A copy is sent at most so many minutes of event time after its original."""
SEED: Final = 2013


@dataclass(frozen=True)
class Script:
    """Who says what when: entry i publishes `kind[i]` of flight `row[i]` at event time `at[i]` (ms), in order of
    time. Every flight has one prediction, which is poison for SPOILT of them: their outcomes find no partner.
    COPIES predictions are sent a second time. A function of the flights, what versions say, and the seed."""

    flights: Flights
    predictions: Predictions
    version: Texts
    """The version that predicts each flight."""
    at: Ints
    kind: npt.NDArray[np.uint8]
    row: Ints
    poison: dict[int, int]
    """Which kind of poison (index into `poison.KINDS`) replaces the prediction of a flight."""

    @property
    def n(self) -> int:
        return len(self.at)

    def count(self, *kinds: int) -> int:
        return int(np.isin(self.kind, kinds).sum())

    def lonely(self) -> int:
        """How many outcomes are of a prediction that is poison: they can find no partner, and only they."""
        return int((self.flights.known_at[~self.clean] != NEVER).sum())

    @property
    def clean(self) -> npt.NDArray[np.bool_]:
        """The flights whose prediction is not poison."""
        clean = np.ones(self.flights.n, np.bool_)
        clean[list(self.poison)] = False
        return clean

    def switched(self, time: int, version: str, predictions: Predictions) -> Script:
        """The same script with another version's predictions of the flights from event time `time` on. Nothing at
        or after `time` may have been published."""
        new = self.flights.time >= time
        said = Predictions(
            np.where(new, predictions.score, self.predictions.score),
            np.where(new, predictions.late, self.predictions.late),
        )
        return replace(self, predictions=said, version=np.where(new, version, self.version))

    def refusals(self) -> dict[str, int]:
        """How many records are to be refused, by reason."""
        return dict(Counter(KINDS[number].reason for number in self.poison.values()))

    def records(self, first: int, after: int, topic: str, partitions: int) -> list[Outgoing]:
        """The records of entries `first <= i < after`. Everything said of a flight goes to one partition."""
        rows = self.row[first:after].tolist()
        columns = _Columns(self, rows)
        out = []
        for place, (kind, row) in enumerate(zip(self.kind[first:after].tolist(), rows, strict=True)):
            key = columns.ids[place].encode()
            value: bytes | None
            if kind == OUTCOME:
                value = orjson.dumps(columns.outcome(place))
            elif kind == POISON:
                value = spoil(self.poison[row], columns.prediction(place))
            else:
                value = orjson.dumps(columns.prediction(place))
            out.append(Outgoing(topic, zlib.crc32(key) % partitions, key, value))
        return out


def write_script(flights: Flights, predictions: Predictions, copies: int = COPIES, spoilt: int = SPOILT) -> Script:
    """ValueError where there are too few flights to copy and spoil."""
    n = flights.n
    random = np.random.default_rng(SEED)
    chosen = random.choice(n, size=copies + spoilt, replace=False)
    copied, poisoned = chosen[:copies], chosen[copies:]
    kinds_of_prediction = np.full(n, PREDICTION, np.uint8)
    kinds_of_prediction[poisoned] = POISON
    told = np.flatnonzero(flights.known_at != NEVER)
    delays = random.integers(1, COPY_DELAY_MIN * MINUTE_MS, size=copies)
    at = np.concatenate([flights.time, flights.known_at[told], flights.time[copied] + delays])
    kind = np.concatenate([kinds_of_prediction, np.full(len(told), OUTCOME), np.full(copies, COPY)]).astype(
        np.uint8
    )
    row = np.concatenate([np.arange(n), told, copied])
    order = np.lexsort((row, kind, at))
    poison = {int(flight): number % len(KINDS) for number, flight in enumerate(poisoned)}
    version = np.full(n, VERSION, dtype=object)
    return Script(flights, predictions, version, at[order], kind[order], row[order], poison)


class _Columns:
    """The values of some flights as Python objects, taken out of the arrays once."""

    def __init__(self, script: Script, rows: Sequence[int]) -> None:
        flights, predictions = script.flights, script.predictions
        at = np.asarray(rows, np.int64)
        self._version = script.version[at].tolist()
        self.ids: list[str] = flights.id[at].tolist()
        self._time = flights.time[at].tolist()
        self._known_at = flights.known_at[at].tolist()
        self._late = flights.late[at].tolist()
        self._predicted = predictions.late[at].tolist()
        self._score = predictions.score[at].tolist()
        features = [flights.texts[name][at].tolist() for name in CATEGORIES]
        features += [flights.numbers[name][at].tolist() for name in NUMBERS]
        self._features = list(zip(*features, strict=True))

    def prediction(self, place: int) -> dict[str, Any]:
        # NaN, a value that was not recorded, becomes null.
        return {
            "type": "prediction",
            "id": self.ids[place],
            "model": MODEL,
            "version": self._version[place],
            "time": self._time[place],
            "features": dict(zip((*CATEGORIES, *NUMBERS), self._features[place], strict=True)),
            "prediction": self._predicted[place],
            "score": self._score[place],
        }

    def outcome(self, place: int) -> dict[str, Any]:
        return {
            "type": "outcome",
            "id": self.ids[place],
            "model": MODEL,
            "time": self._known_at[place],
            "outcome": self._late[place],
        }
