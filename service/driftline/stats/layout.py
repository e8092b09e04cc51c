"""How counts over (column, code) travel, and back, trusting no byte: as the smallest of three layouts, or as rows.

Layout CELLS: the uint8 codes of every row, column by column, each column sorted (which row a code came from does
not matter, so it is not told). SPARSE: the flat codes that occur, ascending, uint16 (uint32 past 256 columns),
and their counts. DENSE: all counts. Counts are uint8, 16, 32 or 64, the narrowest that holds the largest.
The choice is a function of the counts, so equal content gives equal bytes.

ROWS, of at most 64: the uint8 codes of every row as it came, row by row. It costs the writer nothing, and the sums of
the grid's embedding are not told beside it: whoever reads it has them from the codes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.errors import StateCorrupt
from driftline.stats.codes import CODES
from driftline.stats.embedding import UNIT
from driftline.stats.grid import Grid

CELLS: Final = 0
SPARSE: Final = 1
DENSE: Final = 2
ROWS: Final = 3

FEW: Final = 64
"""The most rows of layout ROWS."""
MANY: Final = 255
"""Up to so many rows DENSE cannot be the smallest, and every count fits uint8."""
MAX_ROWS: Final = 1 << 40

Counts = npt.NDArray[np.int64]


def count_cells(grid: Grid, codes: npt.NDArray[np.uint8]) -> Counts:
    """Counts [F, 256] of codes [F, n]."""
    flat = (codes + grid.offsets).ravel()
    return np.bincount(flat, minlength=len(grid.columns) * CODES).reshape(-1, CODES)


def encode_codes(grid: Grid, codes: npt.NDArray[np.uint8]) -> tuple[int, bytes, bytes]:
    """(layout, codes, counts) of codes [F, n], n >= 1."""
    columns, n = codes.shape
    if n > MANY:
        return encode_counts(count_cells(grid, codes), n)
    ordered = np.sort(codes, axis=1, kind="stable")
    if n * columns > 3 * columns:
        occurring = columns + int(np.count_nonzero(ordered[:, 1:] != ordered[:, :-1]))
        if _sparse_size(columns, occurring, 1) < n * columns:
            return encode_counts(count_cells(grid, ordered), n)
    return CELLS, ordered.tobytes(), b""


def encode_counts(counts: Counts, n: int) -> tuple[int, bytes, bytes]:
    """(layout, codes, counts) of counts [F, 256], each column of which sums to n."""
    flat = counts.ravel()
    occurring = np.flatnonzero(flat)
    width = _narrowest(int(flat.max(initial=0)))
    sizes = (
        n * len(counts),
        _sparse_size(len(counts), len(occurring), width.itemsize),
        flat.size * width.itemsize,
    )
    layout = sizes.index(min(sizes))
    if layout == CELLS:
        codes = np.repeat(occurring % CODES, flat[occurring]).astype(np.uint8)
        return CELLS, codes.tobytes(), b""
    if layout == SPARSE:
        wire = _code_type(len(counts))
        return SPARSE, occurring.astype(wire).tobytes(), flat[occurring].astype(width).tobytes()
    return DENSE, b"", flat.astype(width).tobytes()


def decode_counts(grid: Grid, n: int, layout: int, codes: bytes, counts: bytes) -> Counts:
    """Counts [F, 256]. Raises StateCorrupt unless the sizes fit, every code is one the grid has, and every column
    sums to n."""
    columns = len(grid.columns)
    if not 0 <= n <= MAX_ROWS:
        raise StateCorrupt(f"block: {n} rows")
    if layout == CELLS:
        if len(codes) != n * columns or counts:
            raise StateCorrupt(f"block: {len(codes)} bytes of codes for {n} rows of {columns} columns")
        found = count_cells(grid, np.frombuffer(codes, np.uint8).reshape(columns, n))
    elif layout == SPARSE:
        found = _from_sparse(columns, codes, counts)
    elif layout == ROWS:
        if counts:
            raise StateCorrupt(f"block: {len(counts)} bytes of counts beside rows")
        return np.bincount(decode_rows(grid, n, codes)[1], minlength=columns * CODES).reshape(columns, CODES)
    elif layout == DENSE:
        if codes or len(counts) not in [columns * CODES * width for width in (1, 2, 4, 8)]:
            raise StateCorrupt(f"block: {len(counts)} bytes of dense counts for {columns} columns")
        found = _integers(counts, columns * CODES).reshape(columns, CODES)
    else:
        raise StateCorrupt(f"block: layout {layout} is unknown")
    flat = found.ravel()
    if flat.min(initial=0) < 0 or flat.max(initial=0) > n:
        raise StateCorrupt(f"block: a count outside 0 .. {n}")
    if flat[~grid.allowed].any():
        raise StateCorrupt("block: a code that its column does not have")
    if (found.sum(axis=1) != n).any():
        raise StateCorrupt(f"block: a column does not hold {n} rows")
    return found


def decode_rows(grid: Grid, n: int, codes: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Of layout ROWS the codes [F, n], and each cell's flat code [n * F]. Raises StateCorrupt unless the size fits and
    every code is one that its column has."""
    columns = len(grid.columns)
    if not 1 <= n <= FEW or len(codes) != n * columns:
        raise StateCorrupt(f"block: {len(codes)} bytes of codes for {n} rows of {columns} columns")
    found = np.frombuffer(codes, np.uint8).reshape(n, columns)
    flat = (found + grid.offsets.T).ravel()
    if not grid.allowed.take(flat).all():
        raise StateCorrupt("block: a code that its column does not have")
    return found.T, flat


def _from_sparse(columns: int, codes: bytes, counts: bytes) -> Counts:
    wire = _code_type(columns)
    cells, rest = divmod(len(codes), wire.itemsize)
    if rest or len(counts) not in [cells * width for width in (1, 2, 4, 8)]:
        raise StateCorrupt(f"block: {len(codes)} bytes of codes, {len(counts)} of counts")
    where = np.frombuffer(codes, wire).astype(np.int64)
    if cells and (int(where[-1]) >= columns * CODES or (where[1:] <= where[:-1]).any()):
        raise StateCorrupt("block: sparse codes are out of range or out of order")
    found = np.zeros(columns * CODES, np.int64)
    if cells:
        found[where] = _integers(counts, cells)
    return found.reshape(columns, CODES)


def _integers(data: bytes, items: int) -> Counts:
    values: Counts = np.frombuffer(data, f"<u{len(data) // items}").astype(np.int64)
    return values


def _sparse_size(columns: int, occurring: int, width: int) -> int:
    return occurring * (_code_type(columns).itemsize + width)


def _code_type(columns: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype("<u2") if columns * CODES <= 1 << 16 else np.dtype("<u4")


def _narrowest(largest: int) -> np.dtype[np.unsignedinteger]:
    for width in (1, 2, 4):
        if largest < 1 << (8 * width):
            return np.dtype(f"<u{width}")
    return np.dtype("<u8")


def encode_moments(moments: npt.NDArray[np.int64]) -> bytes:
    """Moments [column, 2], int32 where all fit, else int64."""
    narrow = moments.astype("<i4")
    return (narrow if (narrow == moments).all() else moments.astype("<i8", copy=False)).tobytes()


def decode_moments(columns: int, data: bytes) -> npt.NDArray[np.int64]:
    """Moments [column, 2]. Raises StateCorrupt if the size does not fit."""
    if len(data) not in (columns * 8, columns * 16):
        raise StateCorrupt(f"block: {len(data)} bytes of moments for {columns} columns")
    wire = "<i4" if len(data) == columns * 8 else "<i8"
    return np.frombuffer(data, wire).astype(np.int64).reshape(-1, 2)


def encode_joint(sums: npt.NDArray[np.int64]) -> bytes:
    """Sums of an embedding's features, int16 where all fit, else int32, else int64."""
    largest = int(np.abs(sums).max(initial=0))
    return sums.astype("<i2" if largest < 1 << 15 else "<i4" if largest < 1 << 31 else "<i8").tobytes()


def decode_joint(grid: Grid, n: int, data: bytes) -> npt.NDArray[np.int64]:
    """The sums over n rows. Raises StateCorrupt if the size does not fit, or n rows cannot have such sums."""
    if not grid.joint and not data:
        return np.zeros(0, np.int64)
    if not grid.joint or len(data) not in (2 * grid.joint, 4 * grid.joint, 8 * grid.joint):
        raise StateCorrupt(f"block: {len(data)} bytes of sums for {grid.joint} features")
    found: npt.NDArray[np.int64] = np.frombuffer(data, f"<i{len(data) // grid.joint}").astype(np.int64)
    if int(found.max()) > n * UNIT or int(found.min()) < -n * UNIT:
        raise StateCorrupt(f"block: sums of features that {n} rows cannot have")
    return found
