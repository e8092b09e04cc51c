"""The training window advised: data since the change where that is enough, else a mix that weights the recent."""

from __future__ import annotations

import math
from collections.abc import Collection

from driftline.contracts.reactions import Mix, Window, Witnessed


def advise(firing: Collection[Witnessed], now: int, enough: int) -> Window:
    """`firing`: the monitors that ask for it. Counts are extrapolated from the rows of the stream between onset and
    alarm, whichever of them a monitor counts, so they are "about"."""
    known = [
        (w.onset, w.time if w.time is not None else now, rows)
        for w in firing
        if w.onset is not None and (rows := w.rows or w.n) and w.onset < now
    ]
    if not known:
        return Window(start=None, to=now, why="No change is dated: train on as much recent history as usual.")
    onset = min(start for start, _, _ in known)
    per_ms = max(n / max(alarmed - start, 1) for start, alarmed, n in known)
    recent = max(max(n for _, _, n in known), round(per_ms * (now - onset)))
    if recent >= enough:
        return Window(
            start=onset,
            to=now,
            events=recent,
            recent=recent,
            why=f"About {recent:,} events since the change are enough to train on alone ({enough:,} are wanted).",
        )
    older = enough - recent
    weight = max(math.floor(10.0 * min(older / recent, _heaviest(recent, older))) / 10.0, 1.0)
    return Window(
        start=max(0, onset - round(older / per_ms)),
        to=now,
        mix=Mix(since=onset, weight=weight),
        events=enough,
        recent=recent,
        why=f"About {recent:,} events since the change are too few to train on alone ({enough:,} are wanted): "
        f"older ones are added, and the recent ones count {weight:g} times as much.",
    )


def _heaviest(recent: int, older: int) -> float:
    """The most that recent events may count, so that all together are still worth half their number (Kish's
    effective sample size): a model trained on little more than the recent ones would learn their noise."""
    half = (recent + older) / 2.0
    if recent >= half:
        return math.inf
    a, c = recent * (half - recent), older * (older - half)
    return (recent * older + math.sqrt((recent * older) ** 2 + a * c)) / a
