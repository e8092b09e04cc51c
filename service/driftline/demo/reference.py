"""February and March as a file: what `driftline reference build` pins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from driftline.demo.flights import CATEGORIES, NEVER, NUMBERS, Flights
from driftline.demo.model import Predictions


def reference_table(flights: Flights, predictions: Predictions) -> Any:
    """A pyarrow table in order of time: id, time (ms), features, prediction, score, outcome and its time, null
    where none came."""
    import pyarrow as pa

    never = flights.known_at == NEVER
    columns: dict[str, Any] = {"id": pa.array(flights.id), "time": pa.array(flights.time)}
    for name in CATEGORIES:
        columns[name] = pa.array(flights.texts[name])
    for name in NUMBERS:
        columns[name] = pa.array(flights.numbers[name], mask=np.isnan(flights.numbers[name]))
    columns["prediction"] = pa.array(predictions.late)
    columns["score"] = pa.array(predictions.score)
    columns["outcome"] = pa.array(flights.late, mask=never)
    columns["outcome_time"] = pa.array(flights.known_at, mask=never)
    return pa.table(columns)


def write_reference(file: Path, flights: Flights, predictions: Predictions) -> None:
    import pyarrow.parquet as parquet

    parquet.write_table(reference_table(flights, predictions), file)
