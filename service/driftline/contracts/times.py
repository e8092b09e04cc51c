"""Event time: RFC 3339 with a zone, or a number of milliseconds since the epoch, becomes an integer of ms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from driftline.contracts.limits import MAX_TIME, SECONDS_FROM, SECONDS_TO
from driftline.contracts.reasons import Reason, poison

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_LEAP: Final = re.compile(r"(\d\d\d\d-\d\d-\d\d[Tt ]\d\d:\d\d:)60((?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d))", re.ASCII)
_ZONED = Annotated[datetime, msgspec.Meta(tz=True)]


def time_of_number(number: int | float) -> int:
    """ms of a finite number. Poison `time_unit` for what looks like seconds, `time_range` outside 1970..9999."""
    if SECONDS_FROM <= abs(number) < SECONDS_TO:
        raise poison(Reason.TIME_UNIT, "time looks like seconds; milliseconds since the epoch are wanted")
    if number < 0:
        raise poison(Reason.TIME_RANGE, "time is before 1970")
    if number > MAX_TIME:
        raise poison(Reason.TIME_RANGE, "time is after the year 9999; milliseconds since the epoch are wanted")
    return int(number)


def time_of_datetime(moment: datetime) -> int:
    """ms of an aware datetime, rounded down."""
    ms = (moment - _EPOCH) // _MS
    if not 0 <= ms <= MAX_TIME:
        raise poison(Reason.TIME_RANGE, "time is before 1970 or after the year 9999")
    return ms


def moment_of_text(text: str) -> datetime:
    """The moment of an RFC 3339 date-time. A leap second is the second after :59."""
    leap = _LEAP.fullmatch(text)
    if leap is not None:
        before = moment_of_text(f"{leap[1]}59{leap[2]}")
        if before.year == datetime.max.year:
            raise poison(Reason.TIME_RANGE, "time is after the year 9999")
        return before + timedelta(seconds=1)
    try:
        return msgspec.convert(text, _ZONED)
    except msgspec.ValidationError:
        pass
    try:
        msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise poison(Reason.TIME_FORMAT, "time is no RFC 3339 date-time") from None
    raise poison(Reason.TIME_ZONE, "time has no zone; append Z or an offset")


def time_of_text(text: str) -> int:
    """ms of an RFC 3339 date-time."""
    return time_of_datetime(moment_of_text(text))


def rfc3339(ms: int) -> str:
    """`ms` since the epoch as RFC 3339 in UTC, milliseconds kept; clamped to the years 1970 to 9999."""
    moment = _EPOCH + min(max(ms, 0), MAX_TIME) * _MS
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
