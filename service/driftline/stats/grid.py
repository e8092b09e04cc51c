"""The frozen grid of a section: which of 256 codes every cell of a row falls into.

The grid is a pure function of the reference rows, whatever their order, and so is its `id`. Every value that
holds at least 1/64 of a numeric column has a bin to itself; the others share quantile bins, at most 248 in all.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.stats.codes import (
    CODES,
    FINE,
    MAX_CATEGORIES,
    MISSING,
    NON_FINITE,
    STATUSES,
    UNSEEN,
    UNSEEN_COUNTERS,
    WRONG_TYPE,
    unseen_code,
)
from driftline.stats.embedding import FEATURES, Embedding
from driftline.stats.lookup import BinLookup
from driftline.stats.rows import Column, Rows
from driftline.stats.segments import PREFIX as SEGMENTS
from driftline.stats.segments import crossed_categories
from driftline.stats.vectors import lengths_of, settled

__all__ = [
    "CODES",
    "FINE",
    "MAX_CATEGORIES",
    "MISSING",
    "MOMENT_UNIT",
    "NON_FINITE",
    "PANE_LENGTHS_MS",
    "STATUSES",
    "UNSEEN",
    "UNSEEN_COUNTERS",
    "WRONG_TYPE",
    "Grid",
    "GridColumn",
    "Kind",
    "choose_pane_ms",
    "learn_grid",
]

Floats = npt.NDArray[np.float64]
Kind = Literal["numeric", "categorical", "rate"]

PANE_LENGTHS_MS: Final = (10_000, 60_000, 600_000, 3_600_000, 86_400_000)
MEDIAN_EVENTS: Final = 30
"""The pane length is the shortest whose non-empty panes hold so many events in the median."""
MOMENT_UNIT: Final = 65_536
"""A distance of one `scale` from `center` in the moments' fixed point."""
ATOM: Final = 64
"""A value that at least one row in so many holds has its own bin, however many distinct values there are."""
FACTORS: Final = (10.0, 60.0, 100.0, 1_000.0, 3_600.0)
"""Changes of unit upwards, whose values would else all lie in one bin."""
MIN_SCALE: Final = 1e-290
"""A smaller scale would make the factor that standardises infinite."""
RATE_COLUMNS: Final = frozenset({"error", "false_negative", "false_positive", "false_discovery"})
"""Columns of zeros and ones that are counted as such."""


class _Table(dict[str | None, int]):
    """Code of a text; no text is MISSING. Values outside the table are hashed and never remembered."""

    def __missing__(self, value: str) -> int:
        return unseen_code(value)


class GridColumn(msgspec.Struct, frozen=True, dict=True):
    """One column. `edges`: float64 LE, sorted, unique; the bin of x is the number of edges <= x. `categories`:
    the code of a category is its place. `center` and `scale` (> 0) standardise what the moments sum up."""

    name: str
    kind: Kind
    edges: bytes = b""
    categories: list[str] = []
    center: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding turns into msgspec.ValidationError."""
        if len(self.edges) % 8 or len(self.edges) // 8 >= FINE:
            raise ValueError(f"column {self.name!r}: {len(self.edges)} bytes of edges")
        edges = np.frombuffer(self.edges, "<f8")
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all()):
            raise ValueError(f"column {self.name!r}: edges that are not finite and ascending")
        if len(self.categories) > MAX_CATEGORIES or len(set(self.categories)) < len(self.categories):
            raise ValueError(f"column {self.name!r}: categories that are too many or twice there")
        if not (math.isfinite(self.center) and MIN_SCALE <= self.scale < math.inf):
            raise ValueError(f"column {self.name!r}: center {self.center}, scale {self.scale}")

    @cached_property
    def edge_values(self) -> Floats:
        return np.frombuffer(self.edges, "<f8").astype(np.float64, copy=False)

    @cached_property
    def table(self) -> dict[str | None, int]:
        table = _Table({value: code for code, value in enumerate(self.categories)})
        table[None] = MISSING
        return table

    @property
    def codes(self) -> int:
        """How many value codes there are: 0 .. codes-1 (unseen counters not among them)."""
        match self.kind:
            case "numeric":
                return len(self.edges) // 8 + 1
            case "categorical":
                return len(self.categories)
            case "rate":
                return 2


class Grid(msgspec.Struct, frozen=True, dict=True):
    """All columns of a section, sorted by name, and the length of its panes. `embedding`: what is summed up of the
    columns together; None where nothing is. `vectors`: the length of each feature that is a list of numbers."""

    columns: list[GridColumn]
    pane_ms: int
    embedding: Embedding | None = None
    vectors: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.pane_ms < 1 or len({column.name for column in self.columns}) < len(self.columns):
            raise ValueError("a grid needs a pane length above 0 and columns of different names")
        if self.embedding is not None and not 0 <= min(self.embedding.columns) <= max(self.embedding.columns) < len(
            self.columns
        ):
            raise ValueError("a grid whose embedding looks at columns that are not there")

    @cached_property
    def id(self) -> str:
        """BLAKE2b of the content: equal grids have equal ids, in every process and on every machine."""
        columns = [msgspec.structs.astuple(column) for column in self.columns]
        content = [self.pane_ms, columns, self.embedding, sorted(self.vectors.items())]
        return hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=16).hexdigest()

    @property
    def joint(self) -> int:
        """How many sums a pane holds of the columns together."""
        return FEATURES if self.embedding is not None else 0

    @cached_property
    def index(self) -> dict[str, int]:
        return {column.name: i for i, column in enumerate(self.columns)}

    @cached_property
    def measured(self) -> npt.NDArray[np.intp]:
        """The columns with moments: all but the categorical ones."""
        return np.array([i for i, c in enumerate(self.columns) if c.kind != "categorical"], np.intp)

    @cached_property
    def measured_names(self) -> list[str]:
        return [self.columns[i].name for i in self.measured.tolist()]

    @cached_property
    def rates(self) -> list[int]:
        """Which of the measured columns are rates."""
        return [at for at, i in enumerate(self.measured.tolist()) if self.columns[i].kind == "rate"]

    @cached_property
    def lookup(self) -> BinLookup:
        """Bins of the measured columns."""
        return BinLookup([self.columns[i].edge_values for i in self.measured.tolist()])

    @cached_property
    def standards(self) -> tuple[Floats, Floats]:
        """Of the measured columns, as column vectors: the center, and what takes a distance to fixed point."""
        columns = [self.columns[i] for i in self.measured.tolist()]
        center = np.array([column.center for column in columns]).reshape(-1, 1)
        scale = np.array([column.scale for column in columns]).reshape(-1, 1)
        return center, MOMENT_UNIT / scale

    @cached_property
    def offsets(self) -> npt.NDArray[np.int32]:
        """Flat code of (column, 0), as a column vector."""
        return (np.arange(len(self.columns), dtype=np.int32) * CODES)[:, None]

    @cached_property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which flat codes a cell can have."""
        mask = np.zeros((len(self.columns), CODES), np.bool_)
        for i, column in enumerate(self.columns):
            mask[i, : column.codes] = True
            mask[i, list(STATUSES)] = True
            if column.kind == "categorical":
                mask[i, UNSEEN : UNSEEN + UNSEEN_COUNTERS] = True
        return mask.ravel()


def choose_pane_ms(times: npt.NDArray[np.int64]) -> int:
    """The shortest length whose non-empty panes have a median of 30 events or more, else the longest."""
    for length in PANE_LENGTHS_MS:
        _, counts = np.unique(times // length, return_counts=True)
        if len(counts) and np.median(counts) >= MEDIAN_EVENTS:
            return length
    return PANE_LENGTHS_MS[-1]


def learn_grid(
    rows: Rows,
    pane_ms: int,
    cuts: Mapping[str, Sequence[float]] = MappingProxyType({}),
    given: Mapping[str, GridColumn | None] = MappingProxyType({}),
) -> Grid:
    """The grid of reference rows. A column that never holds a value has no place in it: that it appears later
    is told as such. A column is numeric if at least half of its values are numbers. `cuts`: finite edges that a
    numeric column must have, by name, at most 32 of each; `given`: columns that are not learnt, by name, None for
    those that are to have no place."""
    vectors = lengths_of(rows)
    held = settled(rows, vectors).columns
    columns = [
        given[name] if name in given else _learn_column(name, held[name], cuts.get(name, ()))
        for name in sorted(held)
    ]
    return Grid([column for column in columns if column is not None], pane_ms, vectors=vectors)


def _learn_column(name: str, column: Column, cuts: Sequence[float]) -> GridColumn | None:
    held = column.numbers[~np.isnan(column.numbers)] + 0.0  # -0.0 becomes 0.0: they are one value
    texts = [text for text in column.texts or () if text is not None]
    non_finite = wrong = 0
    if column.status is not None:
        non_finite = int((column.status == NON_FINITE).sum())
        wrong = int((column.status == WRONG_TYPE).sum())
    numbers = len(held) + non_finite
    if not numbers + len(texts) + wrong:
        return None
    if len(texts) > numbers:
        categories = crossed_categories(texts) if name.startswith(SEGMENTS) else _categories(texts)
        return GridColumn(name, "categorical", categories=categories)
    if name in RATE_COLUMNS and len(held) and bool(((held == 0) | (held == 1)).all()):
        return GridColumn(name, "rate")
    held.sort()
    center, scale = _center_and_scale(held)
    return GridColumn(name, "numeric", _edges(held, cuts).astype("<f8").tobytes(), [], center, scale)


def _categories(texts: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return sorted(counts, key=lambda text: (-counts[text], text))[:MAX_CATEGORIES]


def _edges(values: Floats, cuts: Sequence[float]) -> Floats:
    """At most 247 edges for sorted values, the cuts among them. An edge at a value and one just above it give it its
    own bin: to every value while they are few, else to the heavy ones; quantiles of the rest take what is left."""
    if not len(values):
        return np.unique(np.asarray(cuts, np.float64))
    given = np.unique(np.concatenate([_outer_edges(values), np.asarray(cuts, np.float64)]))
    most = FINE - 1 - len(given)
    distinct, counts = np.unique(values, return_counts=True)
    heavy = counts * ATOM >= len(values) if 2 * len(distinct) > most else np.ones(len(distinct), np.bool_)
    atoms, light = distinct[heavy], distinct[~heavy]
    room = most - 2 * len(atoms)
    if len(light) > room:
        rest = np.repeat(light, counts[~heavy])
        light = rest[np.arange(1, room + 1) * len(rest) // (room + 1)]
    with np.errstate(over="ignore"):
        above = np.nextafter(atoms, np.inf)
    edges: Floats = np.unique(np.concatenate([atoms, above, light, given]))
    return edges[: np.searchsorted(edges, np.inf)]


def _outer_edges(values: Floats) -> Floats:
    """The smallest value and just above the largest: what lies outside has bins of its own. And the quartiles times
    `FACTORS` that lie outside: by them a change of unit is known."""
    quartiles = values[np.array([1, 2, 3]) * (len(values) - 1) // 4]
    with np.errstate(over="ignore"):
        outer = np.outer(FACTORS, quartiles).ravel()
        ends = [values[0], np.nextafter(values[-1], np.inf)]
    outside = np.isfinite(outer) & ((outer < values[0]) | (outer > values[-1]))
    return np.concatenate([outer[outside], ends])


def _center_and_scale(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation, exactly rounded sums so that they hang on no order; never a scale of 0."""
    largest = float(np.abs(values).max(initial=0.0))
    if not largest:
        return 0.0, 1.0
    share = values / largest  # within [-1, 1]: no square overflows
    mean = math.fsum(share) / len(share)
    spread = math.sqrt(math.fsum(np.square(share - mean)) / len(share))
    # A spread within rounding of 0 is a constant's: its own size is then the only scale there is.
    scale = spread * largest if spread > 1e-12 else largest
    return mean * largest, max(scale, MIN_SCALE)
