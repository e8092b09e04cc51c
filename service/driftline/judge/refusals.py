"""Whether more records are refused than may be: a verdict on each input partition.

A refused record often has no model and no time, but every record has an offset. What is judged is the records of one
aligned window of `WINDOW` offsets of a source after the other, once the ledger is past it: a function of the log alone,
whatever the ranges were. Guarantee: while every record's probability of being refused, given those before it, is at
most `at_most`, one false alarm in `ARL0` windows of a source on average. Exact for independent records; a burst of bad
ones is told for what it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from driftline.contracts.blocks import WINDOW, Bundle, WindowTally
from driftline.contracts.records import Signal, SignalState, signal_id
from driftline.errors import StateCorrupt
from driftline.stats.bounded_share import BoundedShare, percent
from driftline.stats.codec import pack, pack_arrays, unpack, unpack_arrays

KIND: Final = "refusals"
VERSION: Final = 1
MONITOR: Final = "system:invalid_events"
ARL0: Final = 10_000
"""Windows."""
NAMED: Final = 3
"""Reasons that a sentence names."""


class _Source:
    """One input partition: the evidence, the window that is not whole yet, the last sequence number."""

    def __init__(self, at_most: float) -> None:
        self.share = BoundedShare(at_most)
        self.open: dict[int, WindowTally] = {}
        self.sequence = 0


class Refusals:
    """Of one `blocks` partition, which hears of the sources that speak there."""

    def __init__(self, at_most: float, deadletters: str) -> None:
        self.at_most = at_most
        self.deadletters = deadletters
        self.sources: dict[int, _Source] = {}
        self.touched = False

    def take(self, bundle: Bundle, said: Mapping[str, int]) -> list[Signal]:
        """The verdicts that change with a bundle that is new to the ledger. `said`: sequence numbers given out
        before the state was lost."""
        source = self.sources.get(bundle.source)
        if source is None:
            if not bundle.windows:
                return []
            source = self.sources[bundle.source] = _Source(self.at_most)
        for at, window in bundle.windows.items():
            source.open[at] = _sum(source.open.get(at), window)
        self.touched = self.touched or bool(bundle.windows)
        whole = sorted(at for at in source.open if (at + 1) * WINDOW <= bundle.next)
        found = (self._judge(bundle.source, source, at, source.open.pop(at), said) for at in whole)
        return [signal for signal in found if signal is not None]

    def _judge(
        self, number: int, source: _Source, at: int, window: WindowTally, said: Mapping[str, int]
    ) -> Signal | None:
        share, n = source.share, window.records
        share.hear(n, sum(window.refused.values()), n, at, 1.0)
        state: SignalState
        if share.recovered:
            state = "resolved"
        elif not share.alarm and share.evidence >= math.log(ARL0):
            state = "alarm"
        else:
            return None
        monitor = f"{MONITOR}:{number}"
        before = said.get("\x1f".join(("", "", monitor)), 0)
        source.sequence = max(source.sequence, before) + 1
        signal = self._signal(number, source, state, at, window)
        if state == "alarm":
            share.raise_alarm()
        else:
            share.resolve()
        return signal

    def _signal(self, number: int, source: _Source, state: SignalState, at: int, window: WindowTally) -> Signal:
        share, monitor = source.share, f"{MONITOR}:{number}"
        effect, evidence = share.told("share of refused records", self.at_most, math.log(ARL0))
        since, bad, n, _ = share.seen
        now = effect.current
        verdict = (
            "More records are refused than" if state == "alarm" else "The share of records refused is back within"
        )
        sentence = (
            f"{verdict} the limit of {percent(self.at_most)} in partition {number} of the events: {bad:,.0f} of "
            f"{n:,.0f} ({percent(now.value)}) from offset {since * WINDOW} on."
        )
        if state == "alarm":
            reasons = sorted(window.refused.items(), key=lambda item: (-item[1], item[0]))[:NAMED]
            named = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
            sentence += (
                f" Of the last {window.records:,}: {named or 'none'}. They are on the topic {self.deadletters}."
            )
        # As of every signal about the service `time` is 0: refused records often have none.
        return Signal(
            id=signal_id("", "", monitor, source.sequence),
            model="",
            version="",
            monitor=monitor,
            sequence=source.sequence,
            state=state,
            severity="error" if state == "alarm" else "info",
            time=0,
            sentence=sentence,
            effect=effect,
            evidence=evidence,
            details={"partition": number, "from_offset": since * WINDOW, "until_offset": (at + 1) * WINDOW},
        )

    def to_bytes(self) -> bytes:
        """Equal states give equal bytes."""
        state = {
            str(number): {
                "share": source.share.to_state(),
                "open": {str(at): [w.records, dict(sorted(w.refused.items()))] for at, w in source.open.items()},
                "sequence": source.sequence,
            }
            for number, source in sorted(self.sources.items())
        }
        return pack(KIND, VERSION, pack_arrays({"at_most": self.at_most, "of": state}))

    @staticmethod
    def from_bytes(at_most: float, deadletters: str, data: bytes) -> Refusals:
        """Evidence against another limit than `at_most` is forgotten, an alarm is not. Raises StateCorrupt for bytes
        that are none, StateTooNew for those of a later version."""
        _, body = unpack(KIND, VERSION, data)
        refusals = Refusals(at_most, deadletters)
        try:
            held = unpack_arrays(body)
            of: dict[str, Any] = held["of"]
            for number, state in of.items():
                source = refusals.sources[int(number)] = _Source(at_most)
                source.share.restore(state["share"])
                if held["at_most"] != at_most:
                    source.share = _anew(at_most, alarm=source.share.alarm)
                source.open = {
                    int(at): WindowTally(int(n), dict(refused)) for at, (n, refused) in state["open"].items()
                }
                source.sequence = int(state["sequence"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StateCorrupt(f"refusals: {error}") from None
        return refusals


def _anew(at_most: float, *, alarm: bool) -> BoundedShare:
    share = BoundedShare(at_most)
    if alarm:
        share.raise_alarm()
    return share


def _sum(held: WindowTally | None, more: WindowTally) -> WindowTally:
    if held is None:
        return more
    refused = dict(held.refused)
    for reason, count in more.refused.items():
        refused[reason] = refused.get(reason, 0) + count
    return WindowTally(held.records + more.records, refused)
