"""Data quality of a column: shares of all rows that are missing, of another type, not finite, of an unseen category,
or out of the reference's range.

They are witnesses like any others, on bins of their own over the same codes, so a column's quality is one monitor
of the block e-detector. Only more is worse; less is told of the missing alone, for then somebody fills in values.
What the reference never held tells nothing of how it clusters: values beyond the range come and go like those
beyond its 2 % and 98 % quantiles, unseen categories like the rare ones, and lend their a and b from these.
"""

from __future__ import annotations

import math
from itertools import compress
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, MISSING, NON_FINITE, UNSEEN, UNSEEN_COUNTERS, WRONG_TYPE
from driftline.stats.fit import Timeline, fit
from driftline.stats.grid import Kind
from driftline.stats.questions import Question, ask_share, rate_effect, smoothed_share
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import Witness

if TYPE_CHECKING:
    from driftline.stats.section import ColumnReference

Counts = NDArray[np.int64]
CoarseMap = NDArray[np.uint8]

BINS: Final = 7
_SOUND, _MISSING, _WRONG, _NOT_FINITE, _UNSEEN, _BELOW, _ABOVE = range(BINS)
MISSING_WORDS: Final = "rows without a value"
WORDS: Final = (
    "sound values",
    MISSING_WORDS,
    "values of another type",
    "values that are not finite",
    "unseen categories",
    "values below all of the reference",
    "values above all of the reference",
)
NEW_WORDS: Final = frozenset(WORDS[bin] for bin in (_UNSEEN, _BELOW, _ABOVE))
"""What a world that moves shows as well as a broken pipeline; all else is the pipeline's."""
LABEL_DELAY: Final = "label_delay_s"
"""Column of the pairs stream; how long outcomes take is a matter of quality, not of the model."""
LATE_WORDS: Final = "outcomes later than the old P98 of delays"
_LATE: Final = 1
TAIL: Final = 0.02
RARE: Final = 0.01
LEAST_INDEPENDENT: Final = 50
"""With fewer independent values than this a reference has not been near the ends of its range often enough."""


def quality_map(kind: Kind, counts: Counts) -> CoarseMap:
    """uint8 [256]: what each code means for the quality of a column with these reference counts."""
    mapping = np.full(CODES, _SOUND, np.uint8)
    mapping[[MISSING, WRONG_TYPE, NON_FINITE]] = (_MISSING, _WRONG, _NOT_FINITE)
    if kind == "categorical":
        mapping[UNSEEN : UNSEEN + UNSEEN_COUNTERS] = _UNSEEN
    elif kind == "numeric" and len(held := np.flatnonzero(counts[:MISSING])):
        mapping[: held[0]] = _BELOW
        mapping[held[-1] + 1 : MISSING] = _ABOVE
    return mapping


def learn_quality(
    kind: Kind,
    codes: NDArray[np.uint8],
    categories: int,
    bounds: NDArray[np.intp],
    time: Timeline,
    settings: DetectionSettings,
) -> list[Witness]:
    """The witnesses of one column. `codes`: of each row, in order of time; `categories`: length of its table;
    `bounds`: rows at which units of `coalesce` rows end, from 0. None for a column that never held a value."""
    counts = np.bincount(codes, minlength=CODES).astype(np.int64)
    if not counts[:MISSING].any():
        return []
    plain = msgspec.structs.replace(settings, season="none")
    mapping, lending = quality_map(kind, counts), _lending_map(kind, counts, categories)
    scores = np.zeros(0)
    questions = _ask(kind, np.bincount(mapping, counts, BINS).astype(np.int64), counts[:categories], settings)
    lent_counts = np.bincount(lending, counts, BINS).astype(np.int64)
    lenders = [
        ask_share("is", q.bin, q.label, smoothed_share(int(lent_counts[q.bin]), len(codes)), q.smallest)
        for q in questions
    ]
    own = fit(questions, mapping[codes], bounds, scores, time, plain).witnesses
    # The missing, say, have nobody to borrow from: what would be lent is their own.
    borrows = [not np.array_equal(mapping == q.bin, lending == q.bin) for q in questions]
    lent = iter(fit(list(compress(lenders, borrows)), lending[codes], bounds, scores, time, plain).witnesses)
    units = max(len(bounds) - 1, 1)
    return [
        _lend(w, next(lent), len(codes), units, settings) if borrowing else w
        for w, borrowing in zip(own, borrows, strict=True)
    ]


def range_is_known(column: ColumnReference) -> bool:
    """Whether the rows of the reference are worth enough independent ones for their range to mean anything."""
    slowest = max((max(w.a, w.a_within) for w in column.witnesses), default=1.0)
    return int(column.fine_counts[:MISSING].sum()) >= LEAST_INDEPENDENT * slowest


def without_range(witnesses: list[Witness]) -> list[Witness]:
    return [w for w in witnesses if w.bin not in (_BELOW, _ABOVE)]


def learn_freshness(
    codes: NDArray[np.uint8], bounds: NDArray[np.intp], time: Timeline, settings: DetectionSettings
) -> list[Witness]:
    """Of the delays of outcomes: the share above the reference's P98, as `learn_quality`."""
    counts = np.bincount(codes, minlength=CODES).astype(np.int64)
    mapping = late_map(counts)
    late = int((mapping[codes] == _LATE).sum())
    if not counts[:MISSING].any():
        return []
    share = smoothed_share(late, len(codes))
    question = ask_share("is", _LATE, LATE_WORDS, share, settings.min_rate_effect, down=False)
    plain = msgspec.structs.replace(settings, season="none")
    return fit([question], mapping[codes], bounds, np.zeros(0), time, plain).witnesses


def late_map(counts: Counts) -> CoarseMap:
    """uint8 [256]: 1 for the codes of delays above the P98 of these reference counts."""
    mapping = np.full(CODES, _SOUND, np.uint8)
    before = np.cumsum(counts[:MISSING]) - counts[:MISSING]
    mapping[:MISSING][before >= (1.0 - TAIL) * max(int(counts[:MISSING].sum()), 1)] = _LATE
    return mapping


def quality_of(column: ColumnReference) -> ColumnReference:
    """The monitor of a column's quality, as a column of its own: its bins are `WORDS`."""
    late = column.name == LABEL_DELAY
    return msgspec.structs.replace(
        column,
        aspect="freshness" if late else "quality",
        coarse=column.quality_coarse,
        units=column.quality_units,
        bins=2 if late else BINS,
        witnesses=column.quality,
        quality=[],
        scores=[],
        most_rows=column.rows,
        season=None,
        note="",
        why_not=column.too_few,
    )


def _ask(kind: Kind, held: Counts, table: Counts, settings: DetectionSettings) -> list[Question]:
    """`held`: rows in each bin; `table`: rows of each category."""
    n = int(held.sum())
    asked = [_MISSING, _WRONG]
    extra = [0, 0]
    match kind:
        case "numeric":
            # The next value is the largest yet once in n + 1 rows: that much is to be expected at each end.
            asked += [_NOT_FINITE, _BELOW, _ABOVE]
            extra += [0, 1, 1]
        case "categorical":
            # As many new ones are to be expected as there were single ones (Good and Turing).
            asked += [_UNSEEN]
            extra += [int((table == 1).sum())]
    found = []
    for bin_, more in zip(asked, extra, strict=True):
        share = smoothed_share(int(held[bin_]) + more, n + more)
        smallest = rate_effect(share, settings)
        if bin_ in (_BELOW, _ABOVE):
            # A drift takes some values out of the range, and is the distribution's to tell.
            smallest = max(smallest, settings.min_rate_effect / 2.0)
        found.append(ask_share("is", bin_, WORDS[bin_], share, smallest, down=bin_ == _MISSING))
    return found


def _lending_map(kind: Kind, counts: Counts, categories: int) -> CoarseMap:
    mapping = quality_map(kind, counts)
    n = max(int(counts[:MISSING].sum()), 1)
    match kind:
        case "numeric":
            until = np.cumsum(counts[:MISSING])
            mapping[:MISSING][until <= TAIL * n] = _BELOW
            mapping[:MISSING][until - counts[:MISSING] >= (1.0 - TAIL) * n] = _ABOVE
        case "categorical":
            mapping[:categories][counts[:categories] < RARE * n] = _UNSEEN
    return mapping


def _lend(own: Witness, other: Witness, rows: int, units: int, settings: DetectionSettings) -> Witness:
    """`own` with the larger of both variances, and the allowance that goes with it."""
    lent = msgspec.structs.replace(
        own,
        a=max(own.a, other.a),
        b=max(own.b, other.b),
        a_within=max(own.a_within, other.a_within),
        b_within=max(own.b_within, other.b_within),
    )
    error = settings.z_ref * lent.sigma * math.sqrt(lent.inflation(float(rows), float(units)))
    return msgspec.structs.replace(lent, eps=max(own.eps, error))
