"""CSV and Parquet, some ten thousand rows at a time, never the whole file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from driftline.backtest.arrow_cells import FirstGuess, cells, times_of
from driftline.backtest.cells import name_of
from driftline.backtest.columns import DEFAULT_MODEL, DEFAULT_VERSION, Columns
from driftline.backtest.entries import PREDICTION, Entry, RowBatch, entries_of, sequence_of
from driftline.errors import Misconfigured

ROWS: Final = 50_000
BLOCK: Final = 8 << 20
NULLS: Final = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"]


def table_entries(path: Path, file: IO[bytes], number: int, columns: Columns, csv: bool) -> Iterator[list[Entry]]:
    """Entries of a table, in the order of its rows. Rows of a CSV that do not have as many cells as its header go
    as they are to the door, which refuses them."""
    batches = _csv_batches(path, file) if csv else _parquet_batches(path, file)
    guess = FirstGuess() if csv else None
    line, former, checked = 2 if csv else 1, 0, False
    for batch, bad in batches:
        if not checked:
            columns.check(batch.schema.names, str(path))
            checked = True
        lines = range(line, line + batch.num_rows)
        line += batch.num_rows + len(bad)
        made = entries_of(row_batch(batch, lines, number, columns, guess), number, former)
        made += [Entry(former, sequence_of(number, row, PREDICTION), text) for row, text in bad]
        if made:
            former = max(former, made[-1].time)
        yield made


def row_batch(batch: Any, lines: range, file: int, columns: Columns, guess: FirstGuess | None) -> RowBatch:
    """A record batch of pyarrow as a batch of ours."""
    n = batch.num_rows
    names = batch.schema.names

    def column(name: str, *, label: bool = False) -> list[Any] | None:
        return cells(batch.column(names.index(name)), name, guess, label=label) if name in names else None

    def named(name: str, constant: str) -> list[Any]:
        held = column(name, label=True)
        return [constant] * n if held is None else list(map(name_of, held))

    def times(name: str) -> list[Any] | None:
        return times_of(batch.column(names.index(name)), columns.time_unit) if name in names else None

    features = columns.features_of(names)
    held = [column(name) or [] for name in features]
    ids = column(columns.id, label=True)
    segments = None
    if columns.segments:
        told = zip(*(column(name, label=True) or [] for name in columns.segments), strict=True)
        segments = [
            {name: str(cell) for name, cell in zip(columns.segments, row, strict=True) if cell is not None}
            for row in told
        ]
    return RowBatch(
        lines=lines,
        times=times(columns.time) or [],
        ids=[f"{file}-{line}" for line in lines] if ids is None else list(map(name_of, ids)),
        models=named(columns.model, columns.constant("model", DEFAULT_MODEL)),
        versions=named(columns.version, columns.constant("version", DEFAULT_VERSION)),
        features=(dict(zip(features, row, strict=True)) for row in zip(*held, strict=True)) if held else [{}] * n,
        predictions=column(columns.prediction, label=True),
        scores=column(columns.score),
        outcomes=column(columns.outcome, label=True),
        outcome_times=times(columns.outcome_time),
        latencies=column(columns.latency_ms),
        segments=segments,
    )


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise Misconfigured(f"reading {path.name} needs pyarrow: pip install 'driftline[backtest]'") from None
    return pyarrow


def _parquet_batches(path: Path, file: IO[bytes]) -> Iterator[tuple[Any, list[tuple[int, bytes]]]]:
    pa = _pyarrow(path)
    try:
        for batch in pa.parquet.ParquetFile(file).iter_batches(batch_size=ROWS):
            yield batch, []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Misconfigured(f"{path}: not a Parquet file that can be read ({error})") from None


def _csv_batches(path: Path, file: IO[bytes]) -> Iterator[tuple[Any, list[tuple[int, bytes]]]]:
    """Every cell as text: what it stands for is decided column by column, and a cell that does not fit its column
    is no reason to stop."""
    pa = _pyarrow(path)
    header = _Headed(path, file)
    bad: list[tuple[int, bytes]] = []

    def odd(row: Any) -> str:
        bad.append((int(row.number or 0), row.text.encode("utf-8", "replace")))
        return "skip"

    csv = pa.csv
    try:
        reader = csv.open_csv(
            pa.PythonFile(header, mode="r"),
            read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=odd),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.string() for name in header.names},
                null_values=NULLS,
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        for batch in reader:
            yield batch, list(bad)
            bad.clear()
    except pa.ArrowInvalid as error:
        raise Misconfigured(f"{path}: not a CSV file that can be read ({error})") from None


class _Headed:
    """A file whose first line has been looked at, to know the names of its columns, and is read again."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file = file
        self._first = file.readline(1 << 20)
        if not self._first.strip():
            raise Misconfigured(f"{path}: the file is empty; its first line must name the columns")
        self.names = self._names(path)
        self.closed = False

    def _names(self, path: Path) -> list[str]:
        import csv

        names = next(csv.reader([self._first.decode("utf-8-sig", "replace").rstrip("\r\n")]))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Misconfigured(f"{path}:1: two columns are named {twice[0]!r}; rename one of them")
        return names

    def read(self, size: int = -1) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first + (self._file.read(size - len(first)) if size > len(first) else b"")
        return self._file.read(size)

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False
