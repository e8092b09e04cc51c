"""What a change is called in front of people: one sentence with numbers, their error bars, and a date.

Numbers are rounded to what their error bars bear. Sentences carry reference quantiles and the names of categories
that hold 1 % or more of the reference, never the value of a single event.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from driftline.contracts.records import Effect, Estimate
from driftline.stats.cbe import Run
from driftline.stats.section import ColumnReference
from driftline.stats.witness import Witness

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_000


def effect_of(column: ColumnReference, witness: Witness, run: Run) -> Effect:
    """Mean of y over a run with +-2 sigma / sqrt(n_eff), in the units people know: a share, or the column's own
    (the spread as root mean square distance from the reference mean). sigma is the reference's; a share that has
    grown has a larger one, which is then taken."""
    y = run.mean
    share = min(max(y, 0.0), 1.0)  # less the season's expectation, it can lie a little outside
    sigma = max(witness.sigma, math.sqrt(share * (1.0 - share))) if witness.share else witness.sigma
    half = 2.0 * sigma / math.sqrt(run.n_eff) if run.n_eff else 0.0
    value, low, high = (shown_value(column, witness, x) for x in (y, y - half, y + half))
    estimate = Estimate(
        value=value, low=min(low, high), high=max(low, high), unit="share" if witness.share else "value"
    )
    return Effect(
        witness=subject_of(column, witness), reference=shown_value(column, witness, witness.mu), current=estimate
    )


def shown_value(column: ColumnReference, witness: Witness, y: float) -> float:
    """A mean of y in the units people know, as `effect_of` has them; NaN for NaN."""
    match witness.form:
        case "mean":
            return column.mean + column.sd * y
        case "spread":
            return column.sd * math.sqrt(max(y, 0.0))
    share = min(max(y, 0.0), 1.0)
    return 1.0 - share if witness.complement else share


def subject_of(column: ColumnReference, witness: Witness) -> str:
    """What a witness is about, in words."""
    match witness.form:
        case "mean":
            return "mean"
        case "spread":
            return "typical distance from the old mean"
        case "below":
            return f"share of values {witness.label}"
        case "is" if column.kind == "rate":
            return f"{column.name} rate"
    return f"share of {witness.label}"


def alarm_sentence(column: ColumnReference, effect: Effect, onset: int) -> str:
    before, now, bar = _figures(effect)
    return f"{_opening(column, effect)} went from {before} to {now} (±{bar}) since {moment(onset)}."


def resolved_sentence(column: ColumnReference, effect: Effect, since: int) -> str:
    before, now, bar = _figures(effect)
    opening = _opening(column, effect)
    return f"{opening} is back: {now} (±{bar}) since {moment(since)}, against {before} in the reference."


def _opening(column: ColumnReference, effect: Effect) -> str:
    if column.kind == "rate":
        return f"The {effect.witness}"
    return f"{column.name}: the {effect.witness}"


def _figures(effect: Effect) -> tuple[str, str, str]:
    now = effect.current
    bar = max(now.high - now.value, now.value - now.low)
    if now.unit != "share":
        return rounded(effect.reference, bar), rounded(now.value, bar), rounded(bar, bar)
    places = 1 if bar >= 0.0005 else 2 if bar >= 0.00005 else 3
    before, current, width = (f"{100.0 * x:.{places}f}" for x in (effect.reference, now.value, bar))
    return f"{before} %", f"{current} %", width


def rounded(value: float, bar: float) -> str:
    """To what an error bar of `bar` bears."""
    if not 0.0 < bar < 1e7 or abs(value) >= 1e10 or bar < 1e-6:
        return number(value)
    places = max(0, 1 - math.floor(math.log10(bar)))
    return f"{round(value, places) + 0.0:,.{places}f}"  # + 0.0: a negative zero is a zero


def number(value: float) -> str:
    """Four significant digits: enough to recognise a value by."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}"
    places = 3 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if places > 0 else text


def moment(ms: int) -> str:
    """26 April 2013 14:00 UTC."""
    time = _EPOCH + timedelta(milliseconds=min(max(ms, _FIRST_MS), _LAST_MS))
    return f"{time.day} {MONTHS[time.month - 1]} {time.year} {time:%H:%M} UTC"
