"""Whether more predictions come twice than in the reference.

A duplicate has no row, but it has a time: it is counted in the pane of its time, with whichever copy came first as the
row. Judged is its share of rows and duplicates against the reference's and one percentage point more, by the evidence
of `bounded_share`: within the model's budget of false alarms, as any monitor. Duplicates come in bursts: n of them
and rows are worth n / `inflation`, the reference's own.
"""

from __future__ import annotations

from typing import Any, Final

from driftline.errors import StateCorrupt
from driftline.stats.bounded_share import BoundedShare, percent
from driftline.stats.change import Change
from driftline.stats.duplicates import MONITOR, DuplicateReference
from driftline.stats.wording import moment

FEWEST: Final = 30
"""An alarm rests on so many rows and duplicates, at the least."""
DAY_MS: Final = 86_400_000


class DuplicateRules:
    """`update` with every pane that holds rows or duplicates, in order of time."""

    def __init__(self, reference: DuplicateReference, *, in_events: bool) -> None:
        self.reference = reference
        self.share = BoundedShare(reference.bound)
        self.in_events = in_events
        self.judged = 0
        """Rows and duplicates so far."""

    def update(self, start: int, end: int, rows: int, duplicates: int, log_threshold: float) -> list[Change]:
        """The pane from `start` to `end` (ms). Raises ValueError where it holds nothing."""
        n = rows + duplicates
        if not n > 0:
            raise ValueError(f"a pane of {rows} rows and {duplicates} duplicates")
        self.judged += n
        dt = float(n) if self.in_events else (end - start) / DAY_MS
        self.share.hear(n, duplicates, n / self.reference.inflation, start, dt)
        if self.share.recovered:
            change = self._change(end, log_threshold)
            self.share.resolve()
            return [change]
        if self.share.alarm or self.share.evidence < log_threshold or self.share.seen[2] < FEWEST:
            return []
        change = self._change(end, log_threshold)
        self.share.raise_alarm()
        return [change]

    def _change(self, end: int, log_threshold: float) -> Change:
        since, _, n, _ = self.share.seen
        before = self.reference.share
        effect, evidence = self.share.told("share of duplicates", before, log_threshold)
        now = effect.current
        verdict = "fewer predictions come twice again" if self.share.alarm else "more predictions come twice"
        return Change(
            monitor=MONITOR,
            state="resolved" if self.share.alarm else "alarm",
            severity="warning",
            time=end,
            onset=since,
            sentence=(
                f"Duplicates: {verdict}: {percent(now.value)} ({percent(now.low)} to {percent(now.high)}) of {n:,.0f} "
                f"since {moment(since)} had come before; in the reference {percent(before)}."
            ),
            effect=effect,
            evidence=evidence,
        )

    @property
    def in_alarm(self) -> list[str]:
        return [MONITOR] if self.share.alarm else []

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {**self.share.to_state(), "judged": self.judged}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises StateCorrupt for what is none."""
        try:
            self.share.restore(state)
            self.judged = int(state["judged"])
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"duplicates: {error}") from None
