"""What one event may cost: sizes that are checked before or while it is read."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_LABEL: Final = 256
MAX_SCORES: Final = 64
MAX_SEGMENTS: Final = 16
MAX_TEXT: Final = 256
"""Characters of a string feature that are told apart; longer ones are shortened to a prefix and a hash."""

MIN_VECTOR: Final = 2
MAX_VECTOR: Final = 4_096
"""Numbers of a vector that is a feature."""

MAX_TIME: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
SECONDS_FROM: Final = 10**8
SECONDS_TO: Final = 10**11
"""A number in [SECONDS_FROM, SECONDS_TO) is a time of 1973 to 5138 in seconds, or of 1970 to 1973 in ms."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Configurable limits of one record: bytes of its value, and features of one prediction."""

    max_bytes: int = 256 * 1024
    max_features: int = 2_000


def is_vector(cell: object) -> bool:
    """A list of 2 to 4,096 numbers, as JSON has them, and nothing else."""
    return isinstance(cell, list) and MIN_VECTOR <= len(cell) <= MAX_VECTOR and set(map(type, cell)) <= {float, int}
