"""A verdict that changed, before it has a sequence number: what monitors return and signals are made of."""

from __future__ import annotations

import msgspec

from driftline.contracts.records import Distances, Effect, Evidence, Severity, SignalState


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`time`: end of the pane that brought it; `onset`: start of the first pane of what it speaks of (for a
    resolved one, of the return to the reference). Both ms of event time."""

    monitor: str
    state: SignalState
    severity: Severity
    time: int
    onset: int
    sentence: str
    effect: Effect | None = None
    evidence: Evidence | None = None
    distances: Distances | None = None


def no_longer(monitor: str, at: int, why: str) -> Change:
    """An alarm ends because nobody asks any more. `why`: the sentence's beginning."""
    sentence = f"{why}: its alarm ends with that."
    return Change(monitor=monitor, state="resolved", severity="info", time=at, onset=at, sentence=sentence)
