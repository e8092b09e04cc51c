"""Several files as one run of records in the order of event time.

Memory is bounded by two batches a file and by the outcomes that are not due yet. Rows may stand out of order within
a batch of some ten thousand rows; what comes later than that is passed on behind its time, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.backtest.columns import Columns
from driftline.backtest.entries import LINE_BITS, OUTCOME, Entry
from driftline.backtest.json_lines import json_entries
from driftline.backtest.opening import kind_of, opened, size_of
from driftline.backtest.tables import table_entries
from driftline.contracts.mapping import FieldMapping

NEVER: Final = 1 << 62


class Feed:
    """Iterate once. `disordered` counts entries that came behind their time, `last` is the latest time of all,
    `predictions` how many predictions there were."""

    def __init__(
        self,
        files: Sequence[Path],
        columns: Columns,
        mapping: FieldMapping | None = None,
        *,
        columns_given: bool = False,
        advanced: Callable[[int], None] = lambda read: None,
    ) -> None:
        self.files = list(files)
        self.total = sum(size_of(path) for path in self.files)
        self._kinds = [kind_of(path) for path in self.files]
        self._columns, self._mapping, self._given = columns, mapping, columns_given
        self._advanced = advanced
        self.disordered = 0
        self.last = 0
        self.entries = 0
        self._times: list[npt.NDArray[np.int64]] = []

    def __iter__(self) -> Iterator[list[Entry]]:
        """Entries in order, in lists of some ten thousand."""
        with ExitStack() as stack:
            positions: list[Callable[[], int]] = []
            sources: dict[int, Iterator[list[Entry]]] = {}
            for number, path in enumerate(self.files):
                file, position = stack.enter_context(opened(path))
                positions.append(position)
                kind = self._kinds[number]
                if kind == "jsonl":
                    sources[number] = json_entries(
                        file, number, str(path), self._columns, self._mapping, self._given
                    )
                else:
                    sources[number] = table_entries(path, file, number, self._columns, kind == "csv")
            yield from self._merge(sources, positions)

    def _merge(
        self, sources: dict[int, Iterator[list[Entry]]], positions: list[Callable[[], int]]
    ) -> Iterator[list[Entry]]:
        horizons = dict.fromkeys(sources, -1)
        pending: list[Entry] = []
        passed = -1
        while sources:
            number = min(horizons, key=lambda n: (horizons[n], n))
            made = next(sources[number], None)
            self._advanced(sum(position() for position in positions))
            if made is None:
                del sources[number], horizons[number]
            else:
                self._note(made)
                pending += made
                pending.sort()
                begin = min((entry.time for entry in made), default=horizons[number])
                horizons[number] = max(horizons[number], begin)
            due = self._due(pending, min(horizons.values(), default=NEVER))
            if due:
                self.disordered += sum(1 for entry in due if entry.time < passed)
                passed = max(passed, due[-1].time)
                yield due

    @staticmethod
    def _due(pending: list[Entry], horizon: int) -> list[Entry]:
        low, high = 0, len(pending)
        while low < high:
            middle = (low + high) // 2
            if pending[middle].time < horizon:
                low = middle + 1
            else:
                high = middle
        due = pending[:low]
        del pending[:low]
        return due

    def _note(self, made: Sequence[Entry]) -> None:
        if made:
            self.entries += len(made)
            times = np.fromiter((e.time for e in made if not e.sequence & OUTCOME), np.int64)
            self._times.append(times)
            self.last = max(self.last, max(e.time for e in made))

    def where(self, sequence: int) -> str:
        """`file:line` of an entry."""
        line = sequence >> 1 & ((1 << LINE_BITS) - 1)
        return f"{self.files[sequence >> (LINE_BITS + 1)]}:{line}"

    def prediction_times(self) -> npt.NDArray[np.int64]:
        """The times of all predictions so far, sorted."""
        return np.sort(np.concatenate(self._times)) if self._times else np.empty(0, np.int64)
