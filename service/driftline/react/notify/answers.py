"""What a receiver's answer means: taken, again later, or never."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from driftline.react.notify.http import Answer
from driftline.react.notify.notification import Refused, TryLater

LONGEST_WAIT_S: Final = 3_600.0
"""A `Retry-After` beyond this is cut to it."""
_AGAIN: Final = frozenset({408, 425, 429})


def expect_taken(answer: Answer, receiver: str, now_ms: int) -> None:
    """Returns for 2xx. Raises TryLater for 408, 425, 429 and 5xx, with what `Retry-After` asks for; Refused for
    everything else. `receiver`: what the error calls it."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in _AGAIN or status >= 500:
        raise TryLater(f"{receiver} answers HTTP {status}", retry_after(answer.headers, now_ms))
    what = "a redirect, which is not followed" if 300 <= status < 400 else f"HTTP {status}"
    raise Refused(f"{receiver} answers {what}")


def retry_after(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Seconds that `Retry-After` asks for, in either of its forms; None where it does not, or not understandably. A
    date counts from the answer's own, where it has one: the clocks of the two need not agree."""
    header = headers.get("retry-after")
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until, sent = _date(header), _date(headers.get("date", ""))
        if until is None:
            return None
        seconds = until - (now_ms / 1000 if sent is None else sent)
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else None


def _date(header: str) -> float | None:
    """Seconds since the epoch; None where it is no date."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
