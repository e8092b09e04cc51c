"""Silence and flood of one stream, told. Rules, not statistics (`traffic` says what the reference knows).

Silence is known by time: `elapse` says it when the watermark passes, at the end of the first pane by which it was
true, whenever that is looked at. So verdicts hang on event times alone. Where all models are silent the watermark
stands, and only the service's own health tells.
"""

from __future__ import annotations

from typing import Any, Final

from driftline.contracts.records import Effect, Estimate, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.change import Change
from driftline.stats.traffic import TIMES, Traffic
from driftline.stats.wording import moment

_FIELDS: Final = ("last", "silent", "since", "back", "rows", "stretch", "stretch_rows", "flooded")


class TrafficRules:
    """Of one stream. `update` with every pane that holds rows, `elapse` with the times until which there is none."""

    def __init__(self, stream: str, traffic: Traffic | None, judged_from: int, pane_ms: int) -> None:
        self.stream = stream
        self.traffic = traffic
        self.pane_ms = pane_ms
        self.last = judged_from
        """Until here rows are known of."""
        self.silent = self.flooded = False
        self.since = self.back = self.rows = self.stretch_rows = 0
        self.stretch = -1

    def update(self, start: int, end: int, rows: int) -> list[Change]:
        """A pane that holds rows; `elapse(start)` comes first. Raises ValueError where it holds none."""
        if not rows > 0:
            raise ValueError(f"a pane of {rows} rows")
        traffic = self.traffic
        if traffic is None:
            return []
        changes = []
        if self.silent:
            self.back, self.rows = (start, rows) if not self.rows else (self.back, self.rows + rows)
            due = traffic.expected(self.back, end)
            if due >= traffic.limit / TIMES:
                if 2 * self.rows >= due:
                    self.silent = False
                    changes.append(self._heard(end))
                self.rows = 0
        self.last = end
        stretch = start // traffic.stretch_ms * traffic.stretch_ms
        if stretch != self.stretch:
            self.stretch, self.stretch_rows = stretch, 0
        self.stretch_rows += rows
        if not self.flooded and self.stretch_rows > traffic.most(stretch):
            self.flooded = True
            changes.append(self._flood("alarm", end))
        return changes

    def elapse(self, until: int) -> list[Change]:
        """No row is to come of before `until`, but those that were told."""
        traffic = self.traffic
        if traffic is None:
            return []
        changes = []
        if self.flooded:
            over = self.stretch + traffic.stretch_ms
            if self.stretch_rows > traffic.most(self.stretch):
                over += traffic.stretch_ms  # the next stretch was empty, then
            if over <= until:
                self.flooded = False
                changes.append(self._flood("resolved", over))
        if not self.silent and self._too_long(until):
            self.silent, self.since, self.rows = True, self.last, 0
            changes.append(self._silence(self._known_at(until)))
        return sorted(changes, key=lambda change: change.time)

    def _too_long(self, until: int) -> bool:
        assert self.traffic is not None
        gap = until - self.last
        return (
            gap > max(self.traffic.floor_ms, self.pane_ms)
            and self.traffic.expected(self.last, until) > self.traffic.limit
        )

    def _known_at(self, until: int) -> int:
        """The first end of a pane by which the gap was too long."""
        low, high = self.last // self.pane_ms, -(-until // self.pane_ms)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._too_long(middle * self.pane_ms) else (middle, high)
        return high * self.pane_ms

    def _silence(self, time: int) -> Change:
        assert self.traffic is not None
        missed = self.traffic.expected(self.last, time)
        sentence = (
            f"No {self.stream} since {moment(self.last)}: the reference would have brought about {missed:,.0f}; its "
            f"longest gap was of {self.traffic.gap:,.0f}."
        )
        return self._change("silence", "alarm", time, self.last, sentence, missed, 0.0)

    def _heard(self, time: int) -> Change:
        assert self.traffic is not None
        due = self.traffic.expected(self.back, time)
        back, since = moment(self.back), moment(self.since)
        sentence = f"{self.stream.capitalize()} are back since {back}, after silence since {since}."
        return self._change("silence", "resolved", time, self.back, sentence, due, float(self.rows))

    def _flood(self, state: SignalState, time: int) -> Change:
        assert self.traffic is not None
        most = self.traffic.record(self.stretch)
        if state == "resolved":
            sentence = f"The flood of {self.stream} is over (at {moment(time)})."
            onset = time - self.traffic.stretch_ms
            rows = self.stretch_rows if onset == self.stretch else 0
            return self._change("flood", state, time, onset, sentence, float(most), float(rows))
        sentence = (
            f"A flood: {self.stretch_rows:,} {self.stream} in the {self.traffic.stretch_ms // 60_000} minutes from "
            f"{moment(self.stretch)}; at that hour the reference never held more than {most:,}."
        )
        return self._change("flood", state, time, self.stretch, sentence, float(most), float(self.stretch_rows))

    def _change(
        self, what: str, state: SignalState, time: int, onset: int, sentence: str, before: float, now: float
    ) -> Change:
        return Change(
            monitor=f"{self.stream}:{what}",
            state=state,
            severity="warning",
            time=time,
            onset=onset,
            sentence=sentence,
            effect=Effect(
                witness="rows", reference=before, current=Estimate(value=now, low=now, high=now, unit="rows")
            ),
        )

    @property
    def in_alarm(self) -> list[str]:
        flags = {"flood": self.flooded, "silence": self.silent}
        return [f"{self.stream}:{what}" for what, holds in flags.items() if holds]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {name: int(getattr(self, name)) for name in _FIELDS}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises StateCorrupt for what is none."""
        try:
            for name in _FIELDS:
                setattr(self, name, type(getattr(self, name))(state[name]))
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"traffic: {error}") from None
