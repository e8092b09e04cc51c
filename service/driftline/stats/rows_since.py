"""How many rows of a stream have come since one of a few times: exact, 16 bytes a time that is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class RowsSince:
    """`add` panes in order of time, `keep` the starts that will be asked for, ask `since`."""

    def __init__(self) -> None:
        self.total = 0
        self.before: dict[int, int] = {}

    def add(self, start: int, rows: int) -> None:
        """A pane that starts at `start` ms."""
        self.before.setdefault(start, self.total)
        self.total += rows

    def keep(self, starts: Iterable[int]) -> None:
        wanted = set(starts)
        self.before = {start: rows for start, rows in self.before.items() if start in wanted}

    def since(self, start: int) -> int | None:
        """Rows of the pane at `start` and all after it; None for a time that was not kept."""
        before = self.before.get(start)
        return None if before is None else self.total - before

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {"total": self.total, "before": sorted(map(list, self.before.items()))}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is none."""
        self.total, self.before = int(state["total"]), {int(start): int(rows) for start, rows in state["before"]}
