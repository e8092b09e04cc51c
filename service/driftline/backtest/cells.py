"""Cells of a table as what they stand for: times, numbers, labels."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from typing import Any, Final

from driftline.backtest.columns import TimeUnit

PER_MS: Final[dict[TimeUnit, float]] = {"s": 0.001, "ms": 1, "us": 1_000, "ns": 1_000_000}


def time_of(cell: Any, unit: TimeUnit) -> Any:
    """ms since the epoch; the cell itself where it is no time. Times without a zone are UTC."""
    if isinstance(cell, str):
        text = cell.strip()
        try:
            return _ms(datetime.fromisoformat(text))
        except ValueError:
            pass
        try:
            cell = int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            return cell
    if isinstance(cell, datetime):
        return _ms(cell)
    if isinstance(cell, date):
        return _ms(datetime.combine(cell, time()))
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell if unit == "ms" else int(cell // PER_MS[unit])
    if isinstance(cell, float) and math.isfinite(cell):
        return round(cell / PER_MS[unit])
    return None if isinstance(cell, float) else cell


def _ms(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def name_of(cell: Any) -> Any:
    """A model, a version, an id: text. Numbers are written out; whole ones without a point."""
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return None
        return str(int(cell)) if cell.is_integer() else str(cell)
    return str(cell) if isinstance(cell, int) else cell
