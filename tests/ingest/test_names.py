"""More names than are told apart: what blocks say of them is the same in whatever order events come, and to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.contracts.features import _BEYOND
from driftline.ingest.columns import FeatureColumns, prediction_rows
from driftline.stats.block import MAX_EXTRA, OTHERS, PaneCounts, add_block, rows_to_blocks
from driftline.stats.grid import Grid, learn_grid
from driftline.stats.rows import Rows

SINCE = 1_700_000_000_000
PANE_MS = 60_000
PANES = 3
NAMES = [f"{chr(97 + i % 26)}{i}" for i in range(90)]


def event(number: int, features: dict[str, Any]) -> Prediction:
    record = {"type": "prediction", "id": str(number), "model": "m", "version": "1", "prediction": 1.0}
    decoded = Decoder().decode(
        orjson.dumps(record | {"time": SINCE + number % PANES * PANE_MS, "features": features})
    )
    assert isinstance(decoded, Prediction)
    return decoded


def events() -> list[Prediction]:
    """Some with one name that nobody knows, some with more than are told apart; each third in a pane of its own."""
    rng = np.random.default_rng(1)
    return [
        event(i, {"known": 1.0, **dict.fromkeys(rng.choice(NAMES, rng.choice([0, 1, 5, 60]), False).tolist(), i)})
        for i in range(120)
    ]


@pytest.fixture
def grid() -> Grid:
    rng = np.random.default_rng(2)
    rows = prediction_rows(
        [event(i, {"known": float(rng.normal())}) for i in range(600)], FeatureColumns(None), True
    )
    return learn_grid(rows, PANE_MS)


def said(grid: Grid, ranges: Iterable[Sequence[Prediction]], workers: int) -> dict[int, dict[str, int]]:
    """By pane, in how many rows each unknown name holds something; ranges go to the workers in turn."""
    panes: dict[int, PaneCounts] = {}
    decoders = [FeatureColumns(grid) for _ in range(workers)]
    for number, part in enumerate(ranges):
        rows = prediction_rows(part, decoders[number % workers], False)
        for block in rows_to_blocks(grid, rows, "m", "1", "predictions"):
            counts = panes.setdefault(block.pane, PaneCounts.empty(len(grid.columns), grid.joint))
            add_block(counts, block, grid)
    return {pane: counts.extra for pane, counts in panes.items()}


def true(sent: Sequence[Prediction]) -> dict[int, dict[str, int]]:
    panes: dict[int, Counter[str]] = {}
    for one in sent:
        held = [f"features.{name}" for name in orjson.loads(one.features) if name != "known"]
        panes.setdefault(one.time - one.time % PANE_MS, Counter()).update(held)
    found = {}
    for pane, counts in panes.items():
        first = sorted(counts)[:MAX_EXTRA]
        found[pane] = {name: counts[name] for name in first}
        if others := counts.total() - sum(found[pane].values()):
            found[pane][OTHERS] = others
    return found


@pytest.mark.parametrize(("size", "workers"), [(1, 1), (7, 2), (1_000, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_counts_of_unknown_names_know_no_order(grid: Grid, size: int, workers: int, seed: int) -> None:
    """Mutation: return no `beyond` from FeatureDecoder._part: what came after 32 others is not counted at all."""
    sent = events()
    order = np.random.default_rng(seed).permutation(len(sent)).tolist()
    shuffled = [sent[i] for i in order]
    assert said(grid, [shuffled[i : i + size] for i in range(0, len(sent), size)], workers) == true(sent)


def test_rows_keep_what_is_beyond() -> None:
    """Mutation: leave `beyond` out of Rows.take, or the start of its part in Rows.concat."""
    times = np.arange(3, dtype=np.int64)
    rows = Rows(times, times.astype(np.uint64), {}, {0: {"a": 1}, 2: {"b": 1, OTHERS: 4}})
    assert rows.take(np.array([2, 1])).beyond == {0: {"b": 1, OTHERS: 4}}
    assert Rows.concat([rows.take(np.array([1, 0])), rows]).beyond == {
        1: {"a": 1},
        2: {"a": 1},
        4: {"b": 1, OTHERS: 4},
    }


def test_a_row_keeps_as_many_names_as_a_block() -> None:
    assert _BEYOND == MAX_EXTRA
