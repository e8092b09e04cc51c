"""`driftline reference build`: a training or validation set becomes the profile a model version is judged by.

The file is a table (Parquet, CSV, JSON lines; .gz allowed for the latter): one row a prediction, with its outcome
where that is known. Rows are put in order of time, because autocorrelation is part of the reference.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from driftline.columns import EVENT_FIELDS, EventColumns
from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.contracts.events import Label
from driftline.errors import Misconfigured
from driftline.ingest.columns import decisions
from driftline.ingest.pairs import Pair, hash_ids, pair_rows
from driftline.ingest.segments import crossed_column
from driftline.ingest.together import FEATURE_PREFIX
from driftline.stats.codes import MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.grid import choose_pane_ms
from driftline.stats.limit_rules import segments_of
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.segments import PREFIX as SEGMENT_PREFIX
from driftline.stats.settings import DetectionSettings, positive_of

Table = Mapping[str, Sequence[Any]]


class Columns(EventColumns, frozen=True, kw_only=True):
    """Which column of the table is what. `features` empty: every column that is nothing else. `segments`: one that
    holds objects, as events have them; else each segment is the column of its name."""

    features: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ("model", "version", "type")
    segments: str = "segments"


def read_table(path: Path) -> dict[str, list[Any]]:
    """The file's columns as Python values. Misconfigured where it cannot be read, saying why."""
    suffixes = [s.lower() for s in path.suffixes]
    try:
        if suffixes[-1:] == [".parquet"]:
            return _arrow("parquet", path)
        if suffixes[-1:] == [".csv"]:
            return _arrow("csv", path)
        if ".jsonl" in suffixes or ".ndjson" in suffixes:
            return _json_lines(path)
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from error
    raise Misconfigured(f"{path}: the file's name must end in .parquet, .csv or .jsonl (.gz)")


def _arrow(kind: str, path: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise Misconfigured(f"reading {path.suffix} needs pyarrow: pip install 'driftline[parquet]'") from None
    table = pyarrow.parquet.read_table(path) if kind == "parquet" else pyarrow.csv.read_csv(path)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _json_lines(path: Path) -> dict[str, list[Any]]:
    rows: list[dict[str, Any]] = []
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON ({error})") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not an object")
            features = row.pop("features", None)
            rows.append({**row, **features} if isinstance(features, dict) else row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def build_profile(
    table: Table,
    *,
    model: str,
    version: str,
    columns: Columns,
    settings: DetectionSettings,
    created: int,
    pane_ms: int | None = None,
) -> Profile:
    """The profile of the rows, in order of time. Misconfigured where the table lacks what it needs."""
    settings = settings.for_model(model)
    if columns.time not in table:
        raise Misconfigured(
            f"there is no column {columns.time!r}: a reference is read in order of time. Name it with --time; "
            f"the columns are {', '.join(sorted(table))}"
        )
    times = np.array([_time_ms(value, columns.time, i) for i, value in enumerate(table[columns.time])], np.int64)
    if not len(times):
        raise Misconfigured("the file holds no rows")
    ids = [str(value) for value in table.get(columns.id, range(len(times)))]
    positive = positive_of(settings.positive_class, model)
    cells = _prediction_columns(table, columns)
    decided = decisions(table.get(columns.prediction, [None] * len(times)), positive)
    for segment in segments_of(settings.limits, PREDICTIONS):
        crossed = crossed_column(_segment(table, columns, segment, len(times)), decided)
        if crossed is not None:
            cells[SEGMENT_PREFIX + segment] = crossed
    rows = Rows(times, hash_ids(ids), cells).sorted()
    pane = pane_ms or choose_pane_ms(rows.times)
    segments = segments_of(settings.limits, PAIRS)
    pairs = _pairs(table, columns, times, ids, model, version, segments)
    predictions = learn_section(PREDICTIONS, rows, pane, settings)
    return make_profile(
        model=model,
        version=version,
        source="training",
        created=created,
        judged_from=0,
        predictions=predictions,
        pairs=learn_section(
            PAIRS, pair_rows(pairs, True, positive, segments), pane, settings, scores=predictions.scores
        )
        if pairs
        else None,
    )


def _prediction_columns(table: Table, columns: Columns) -> dict[str, Column]:
    special = {*(getattr(columns, name) for name in EVENT_FIELDS), *columns.ignored, columns.segments}
    missing = [name for name in columns.features if name not in table]
    if missing:
        raise Misconfigured(f"there is no column {missing[0]!r} in the file, which --features names")
    features = columns.features or tuple(name for name in table if name not in special)
    out = {FEATURE_PREFIX + name: value_column(table[name]) for name in features}
    for name, at in (
        ("prediction", columns.prediction),
        ("score", columns.score),
        ("latency_ms", columns.latency_ms),
    ):
        if at in table:
            out[name] = value_column(table[at])
    return out


def _segment(table: Table, columns: Columns, segment: str, n: int) -> list[str | None]:
    """Its value in each row."""
    held = table.get(columns.segments)
    if held is not None:
        found = [cell.get(segment) if isinstance(cell, Mapping) else None for cell in held]
    else:
        found = list(table.get(segment, [None] * n))
    return [None if value is None else str(value) for value in found]


def value_column(values: Sequence[Any]) -> Column:
    """Numbers, strings and booleans as the stream's columns have them; NaN in a file means missing."""
    n = len(values)
    numbers = np.full(n, np.nan)
    texts: list[str | None] = [None] * n
    status = np.zeros(n, np.uint8)
    for i, value in enumerate(values):
        if isinstance(value, bool):
            texts[i] = "true" if value else "false"
        elif isinstance(value, (int, float)):
            if math.isnan(value):
                status[i] = MISSING
            elif math.isinf(value):
                status[i] = NON_FINITE
            else:
                numbers[i] = float(value)
        elif isinstance(value, str):
            texts[i] = value[:256]
        elif isinstance(value, (datetime, date)):
            texts[i] = value.isoformat()
        else:
            status[i] = MISSING if value is None else WRONG_TYPE
    has_text = any(text is not None for text in texts)
    return Column(numbers, texts if has_text else None, status if status.any() else None)


def _pairs(
    table: Table,
    columns: Columns,
    times: np.ndarray[Any, Any],
    ids: Sequence[str],
    model: str,
    version: str,
    segments: Sequence[str],
) -> list[Pair]:
    if columns.outcome not in table:
        return []
    n = len(times)
    nothing: Sequence[Any] = [None] * n
    predictions = table.get(columns.prediction, nothing)
    scores = table.get(columns.score, nothing)
    known = table.get(columns.outcome_time, nothing)
    groups = {segment: _segment(table, columns, segment, n) for segment in segments}
    pairs = []
    for i, outcome in enumerate(table[columns.outcome]):
        if outcome is None or (isinstance(outcome, float) and not math.isfinite(outcome)):
            continue
        known_at = int(times[i]) if known[i] is None else _time_ms(known[i], columns.outcome_time, i)
        score = scores[i]
        label: Label | None = predictions[i]
        pairs.append(
            Pair(
                model,
                version,
                ids[i],
                0,
                int(times[i]),
                known_at,
                label,
                float(score) if isinstance(score, (int, float)) and math.isfinite(score) else None,
                outcome,
                {name: value for name, held in groups.items() if (value := held[i]) is not None} or None,
            )
        )
    return pairs


def _time_ms(value: Any, column: str, row: int) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise Misconfigured(f"column {column!r}, row {row}: {value[:40]!r} is not a time (RFC 3339)") from None
    if isinstance(value, datetime):
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return round(value)
    raise Misconfigured(f"column {column!r}, row {row}: not a time; give RFC 3339, or ms since the epoch")
