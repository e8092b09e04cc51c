"""Several files in one order, a part of each at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from driftline.backtest.columns import Columns
from driftline.backtest.entries import OUTCOME, PREDICTION, Entry, sequence_of
from driftline.backtest.feed import Feed

ROWS = 600
PART = 50


def file_of(number: int, rng: np.random.Generator, *, times_in_all: int = 60, late: int = 0) -> list[list[Entry]]:
    """Rows by time, `PART` at once: a prediction, of which many are of one time, and its outcome, later than several
    parts. `late`: so many of the last rows are of the file's begin."""
    times = np.sort(rng.integers(0, times_in_all, ROWS))
    times[ROWS - late :] = 0
    parts = []
    for first in range(0, ROWS, PART):
        part = []
        for line in range(first, first + PART):
            time = int(times[line])
            part += [
                Entry(time, sequence_of(number, line, PREDICTION), b"p"),
                Entry(time + times_in_all // 3, sequence_of(number, line, OUTCOME), b"o"),
            ]
        parts.append(sorted(part))
    return parts


def merged(feed: Feed, files: list[list[list[Entry]]]) -> tuple[list[Entry], int]:
    """All entries in the order of the feed, and the most that it held back of what it had read."""
    read, given, most = 0, [], 0

    def source(parts: list[list[Entry]]) -> Iterator[list[Entry]]:
        nonlocal read
        for part in parts:
            read += len(part)
            yield part

    for entries in feed._merge({number: source(parts) for number, parts in enumerate(files)}, []):
        given += entries
        most = max(most, read - len(given))
    return given, most


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("times", [600, 6])
def test_the_order_is_that_of_all_files_together(files: int, times: int) -> None:
    """Mutations: in `_merge`, the latest time of a part as its horizon, or the furthest horizon of all; in `_due`,
    take what is of the horizon's own time."""
    rng = np.random.default_rng(files)
    made = [file_of(number, rng, times_in_all=times) for number in range(files)]
    feed = Feed([], Columns())
    given, _ = merged(feed, made)
    assert given == sorted(entry for parts in made for part in parts for entry in part)
    assert feed.disordered == 0
    assert (feed.entries, feed.last) == (files * 2 * ROWS, given[-1].time)
    assert len(feed.prediction_times()) == files * ROWS


def test_files_are_read_side_by_side() -> None:
    """Mutation: in `_merge`, read the first file that is not at its end."""
    rng = np.random.default_rng(7)
    _, most = merged(Feed([], Columns()), [file_of(number, rng) for number in range(3)])
    assert most < 3 * ROWS


def test_rows_far_out_of_order_are_counted() -> None:
    """Mutation: never add to `disordered`."""
    rng = np.random.default_rng(8)
    feed = Feed([], Columns())
    given, _ = merged(feed, [file_of(0, rng, late=20), file_of(1, rng)])
    assert len(given) == 4 * ROWS
    assert feed.disordered == 40
