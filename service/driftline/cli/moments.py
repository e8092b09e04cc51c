"""Times and lengths of time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from driftline.errors import Misconfigured

_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LENGTH: Final = re.compile(r"(\d{1,9})\s*([smhd])")


def duration_ms(text: str) -> int:
    """`90s`, `30m`, `2h`, `1d`."""
    found = _LENGTH.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise Misconfigured(f"{text[:60]!r} is no length of time: write 30m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def moment(text: str | None, option: str) -> int | None:
    """RFC 3339 to ms; Misconfigured, naming the option."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"{option}: {text[:40]!r} is not a time; give RFC 3339, 2026-11-21T09:00:00Z") from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
