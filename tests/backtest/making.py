"""Histories for the tests: a model of two features, in which a mean and the error move at known times."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftline.backtest.columns import Columns
from driftline.backtest.result import Result
from driftline.backtest.run import Task, backtest
from driftline.config import Config, load

T0: Final = 1_700_000_000_000
STEP_MS: Final = 1_900
N: Final = 4_000
X_MOVES: Final = T0 + 2_000 * STEP_MS
ERROR_MOVES: Final = T0 + 2_400 * STEP_MS
COLUMNS: Final = ("time", "id", "x", "colour", "prediction", "outcome", "outcome_time")


def rows(n: int = N) -> list[dict[str, Any]]:
    """Rows in order of time; outcomes come after 20 s. x moves by 1 SD, the error rate from 10 to 40 %."""
    rng = np.random.default_rng(7)
    x, colour, label, luck = rng.standard_normal(n), rng.random(n), rng.random(n) < 0.5, rng.random(n)
    made = []
    for i in range(n):
        time = T0 + i * STEP_MS
        wrong = luck[i] < (0.4 if time >= ERROR_MOVES else 0.1)
        made.append(
            {
                "time": time,
                "id": f"e{i}",
                "x": round(float(x[i]) + (1.0 if time >= X_MOVES else 0.0), 4),
                "colour": "red" if colour[i] < 0.3 else "blue",
                "prediction": int(label[i]),
                "outcome": int(label[i] != wrong),
                "outcome_time": time + 20_000,
            }
        )
    return made


def events(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as events, in the order in which they were published."""
    found: list[tuple[int, dict[str, Any]]] = []
    for row in made:
        features = {"x": row["x"], "colour": row["colour"]}
        names = {"id": row["id"], "model": "model"}
        prediction = {"type": "prediction", **names, "version": "1", "time": row["time"], "features": features}
        said = {name: row[name] for name in ("prediction", "score") if name in row}
        found.append((row["time"], prediction | said))
        truth = {"type": "outcome", **names, "time": row["outcome_time"], "outcome": row["outcome"]}
        found.append((row["outcome_time"], truth))
    return [event for _, event in sorted(found, key=lambda one: one[0])]


def write_jsonl(path: Path, made: list[dict[str, Any]]) -> Path:
    data = b"".join(json.dumps(one).encode() + b"\n" for one in made)
    if path.suffix == ".zst":
        import zstandard

        data = zstandard.compress(data)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_csv(path: Path, made: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(made[0]))
        writer.writeheader()
        writer.writerows(made)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def write_parquet(path: Path, made: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.Table.from_pylist(made), path)
    return path


def config(**overrides: Any) -> Config:
    return load(
        environ={},
        overrides={"judge.reference_events": 1_200, "judge.reference_pairs": 1_100, **overrides},
    ).config


def run(*files: Path, columns: Columns | None = None, **kept: Any) -> Result:
    settings = kept.pop("config", None) or config()
    return backtest(
        Task(
            files=list(files),
            config=settings,
            columns=columns or Columns(),
            columns_given=columns is not None,
            **kept,
        )
    )
