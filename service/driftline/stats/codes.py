"""The 256 codes a column's cell can take, and what each range means.

Numeric columns use bins 0 .. FINE-1, categorical ones 0 .. 183 for the table and 184 .. 247 for values outside
it, rates 0 and 1. The status codes stand for every cell without a value, so that behind the door no statistic
meets a NaN.
"""

from __future__ import annotations

import zlib
from typing import Final

CODES: Final = 256
FINE: Final = 248
"""Most bins a numeric column can have."""
MAX_CATEGORIES: Final = 184
UNSEEN: Final = 184
"""First of the counters that values outside the category table are hashed to."""
UNSEEN_COUNTERS: Final = 64

MISSING: Final = 252
WRONG_TYPE: Final = 253
NON_FINITE: Final = 254
STATUSES: Final = (MISSING, WRONG_TYPE, NON_FINITE)


def unseen_code(value: str) -> int:
    """The counter of a value outside the table: a function of the value alone, whoever came first."""
    return UNSEEN + zlib.crc32(value.encode("utf-8", "surrogatepass")) % UNSEEN_COUNTERS
