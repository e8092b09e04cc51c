"""The training window advised: data since the change where that is enough, else a mix that weights the recent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from driftline.contracts.reactions import Mix, Window, Witnessed

MAX_WEIGHT: Final = 100.0


def advise(firing: Collection[Witnessed], now: int, enough: int) -> Window:
    """`firing`: the monitors that ask for it. Counts are extrapolated from the events that a monitor saw between
    onset and its alarm, so they are "about"."""
    known = [
        (w.onset, w.time if w.time is not None else now, w.n)
        for w in firing
        if w.onset is not None and w.n and w.onset < now
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
    weight = min(max(round(older / recent, 1), 1.0), MAX_WEIGHT)
    return Window(
        start=max(0, onset - round(older / per_ms)),
        to=now,
        mix=Mix(since=onset, weight=weight),
        events=enough,
        recent=recent,
        why=f"About {recent:,} events since the change are too few to train on alone ({enough:,} are wanted): "
        f"older ones are added, and the recent ones count {weight:g} times as much.",
    )
