"""JSON lines: events as they were published, foreign records by the configuration's mapping, or a row a line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final, Literal

import msgspec
import orjson

from driftline.backtest.cells import name_of, time_of
from driftline.backtest.columns import DEFAULT_MODEL, DEFAULT_VERSION, Columns
from driftline.backtest.entries import OUTCOME, PREDICTION, Entry, RowBatch, entries_of, sequence_of
from driftline.contracts.mapping import FieldMapping, map_record
from driftline.contracts.times import time_of_datetime, time_of_number
from driftline.errors import Misconfigured, Poison

Shape = Literal["events", "mapped", "rows"]
BATCH: Final = 50_000
MAX_LINE: Final = 16 << 20
_BAD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)


class _Data(msgspec.Struct):
    time: int | float | datetime | None = None


class _Head(msgspec.Struct):
    """What is needed to put an event into its place; the door reads the whole of it."""

    type: str = ""
    time: int | float | datetime | None = None
    data: _Data | None = None


_head: Final = msgspec.json.Decoder(_Head).decode


def shape_of(first: bytes, mapping: FieldMapping | None, columns_given: bool) -> Shape:
    """What the lines of a file are, by its first."""
    if columns_given:
        return "rows"
    try:
        record = orjson.loads(first)
    except orjson.JSONDecodeError:
        record = None
    if isinstance(record, dict) and (record.get("type") in ("prediction", "outcome") or "specversion" in record):
        return "events"
    if mapping is not None:
        return "mapped"
    return "rows"


def json_entries(
    file: IO[bytes], number: int, name: str, columns: Columns, mapping: FieldMapping | None, columns_given: bool
) -> Iterator[list[Entry]]:
    """Entries of a file, some ten thousand lines at a time, in the order of its lines."""
    lines = ((n, line) for n, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1) if line.strip())
    former = 0
    first = list(islice(lines, BATCH))
    if not first:
        return
    shape = shape_of(first[0][1], mapping, columns_given)
    if shape == "rows":
        _check(first, columns, name)
    chunk = first
    while chunk:
        if shape == "rows":
            made = _rows(chunk, number, columns, former)
        elif shape == "mapped" and mapping is not None:
            made = [_mapped(line, mapping, number, n) for n, line in chunk]
        else:
            made = [_event(line, number, n) for n, line in chunk]
        made = _placed(made, former)
        former = max(former, *(entry.time for entry in made[-100:])) if made else former
        yield made
        chunk = list(islice(lines, BATCH))


def _placed(made: list[Entry], former: int) -> list[Entry]:
    """Those without a time (-1) take that of the one before."""
    at = former
    for i, entry in enumerate(made):
        if entry.time < 0:
            made[i] = entry._replace(time=at)
        else:
            at = entry.time
    return made


def _event(line: bytes, file: int, number: int) -> Entry:
    line = line.rstrip(b"\r\n")
    try:
        head = _head(line)
        moment = head.time if head.time is not None or head.data is None else head.data.time
        kind = OUTCOME if head.type in ("outcome", "io.driftline.outcome.v1") else PREDICTION
        return Entry(_ms(moment), sequence_of(file, number, kind), line)
    except (*_BAD, Poison):
        return Entry(-1, sequence_of(file, number, PREDICTION), line)


def _ms(moment: int | float | datetime | None) -> int:
    if moment is None:
        return -1
    if isinstance(moment, datetime):
        return time_of_datetime(moment) if moment.tzinfo else -1
    return time_of_number(moment)


def _mapped(line: bytes, mapping: FieldMapping, file: int, number: int) -> Entry:
    line = line.rstrip(b"\r\n")
    try:
        kind, native = map_record(mapping, orjson.loads(line))
        time = native["time"]
        at = time_of(time, "ms") if isinstance(time, str) else time_of_number(time)
        sequence = sequence_of(file, number, OUTCOME if kind == "outcome" else PREDICTION)
        return Entry(at if isinstance(at, int) else -1, sequence, line)
    except (*_BAD, Poison, AttributeError, TypeError):
        return Entry(-1, sequence_of(file, number, PREDICTION), line)


def _check(first: list[tuple[int, bytes]], columns: Columns, name: str) -> None:
    names: dict[str, None] = {}
    for _, line in first[:1_000]:
        row = _object(line)
        if row is not None:
            names |= dict.fromkeys(_flat(row))
    if not names:
        raise Misconfigured(f"{name}:{first[0][0]}: not a JSON object. One object a line is wanted")
    columns.check(names, name)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    features = row.get("features")
    if not isinstance(features, dict):
        return row
    return {name: cell for name, cell in row.items() if name != "features"} | features


def _rows(chunk: list[tuple[int, bytes]], file: int, columns: Columns, former: int) -> list[Entry]:
    """A line that is no object goes as it is to the door."""
    made: list[Entry] = []
    good: list[tuple[int, dict[str, Any]]] = []
    for number, line in chunk:
        row = _object(line)
        if row is None:
            made.append(Entry(-1, sequence_of(file, number, PREDICTION), line.rstrip(b"\r\n")))
        else:
            good.append((number, _flat(row)))
    if good:
        made += entries_of(_batch(good, file, columns), file, former)
        made.sort(key=lambda entry: entry.sequence)
    return made


def _batch(good: list[tuple[int, dict[str, Any]]], file: int, columns: Columns) -> RowBatch:
    rows = [row for _, row in good]
    model, version = columns.constant("model", DEFAULT_MODEL), columns.constant("version", DEFAULT_VERSION)
    special, wanted = columns.special(), columns.features
    if wanted == "*":
        features = ({name: cell for name, cell in row.items() if name not in special} for row in rows)
    else:
        features = ({name: row.get(name) for name in wanted} for row in rows)
    return RowBatch(
        lines=[number for number, _ in good],
        times=[time_of(row.get(columns.time), columns.time_unit) for row in rows],
        ids=[name_of(row.get(columns.id, f"{file}-{number}")) for number, row in good],
        models=[name_of(row.get(columns.model, model)) for row in rows],
        versions=[name_of(row.get(columns.version, version)) for row in rows],
        features=features,
        predictions=[row.get(columns.prediction) for row in rows],
        scores=[row.get(columns.score) for row in rows],
        outcomes=[row.get(columns.outcome) for row in rows],
        outcome_times=[
            None if (cell := row.get(columns.outcome_time)) is None else time_of(cell, columns.time_unit)
            for row in rows
        ],
        latencies=[row.get(columns.latency_ms) for row in rows],
        segments=[_segments(row, columns.segments) for row in rows] if columns.segments else None,
    )


def _segments(row: dict[str, Any], names: list[str]) -> dict[str, str]:
    return {name: str(cell) for name in names if (cell := row.get(name)) is not None}
