"""All monitors of one stream of a model: panes in, changes of verdict out.

A pure function of the sequence of (pane start, counts): counts are integers, so the same events give the same
floats in whatever order their blocks were merged. Each monitor coalesces consecutive panes until it has 30 values
of its own (or twice the rows that takes in the reference), then judges them as one unit.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS
from driftline.contracts.records import Evidence, Severity
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.cbe import RECOVERED, BlockDetector, Run
from driftline.stats.change import Change
from driftline.stats.codes import CODES
from driftline.stats.distances import distances
from driftline.stats.opinions import Opinions
from driftline.stats.schema_rules import SchemaRules
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.windows import Windows
from driftline.stats.witness import MISSING_BIN, WIDTH, Witness
from driftline.stats.wording import alarm_sentence, effect_of, number, resolved_sentence

DAY_MS: Final = 86_400_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """Where a monitor stands. `why_not`: why it never pages (empty where it does). `log_evidence` is -inf before
    its first unit, and in alarm the log of the evidence that all is well again. `n`: values judged so far.
    `smallest_shift`: in words, what its reference lets it see; `a`, `b`: variance of a unit's mean over sigma^2
    is a/n + b or more; `delay`: values needed, about, to see a shift of 0.2 SD (None where that is within eps)."""

    monitor: str
    alarm: bool
    why_not: str
    log_evidence: float
    log_threshold: float
    n: int
    smallest_shift: str
    a: float
    b: float
    delay: int | None
    opinions: dict[str, int | None]


class StreamMonitors:
    """`update` with every closed pane, in order of time."""

    def __init__(self, section: Section, settings: DetectionSettings, judged_from: int) -> None:
        self.section = section
        self.settings = settings
        self.columns = section.monitored
        self.judged_from = judged_from
        self.pane_ms = section.grid.pane_ms
        m = len(self.columns)
        self.detector = BlockDetector(section.table)
        self.opinions = [Opinions() for _ in self.columns]
        self.schema = SchemaRules(section)
        self.windows = Windows((m, WIDTH))
        self.last = -1
        self.pending = np.zeros((m, WIDTH), np.int64)
        self.pending_ms = np.zeros(m, np.int64)
        self.pending_from = np.zeros(m, np.int32)
        self.judged = np.zeros(m, np.int64)
        self._prepare()

    def _prepare(self) -> None:
        self.pager = self.settings.errors_pager if self.section.stream == PAIRS else self.settings.features_pager
        self._origin = self.judged_from // self.pane_ms
        index = self.section.grid.index
        self._rows = np.array([index[column.name] for column in self.columns], np.intp)
        maps = [column.coarse_map + i * WIDTH for i, column in enumerate(self.columns)]
        self._map = np.concatenate([*maps, np.zeros(0, np.intp)])
        pairs = [(column, witness) for column in self.columns for witness in column.witnesses]
        self._witnesses = [witness for _, witness in pairs]
        self._f = np.array([column.values(witness) for column, witness in pairs]).reshape(-1, WIDTH)
        self._over_rows = np.array([witness.form == "missing" for witness in self._witnesses], np.bool_)
        self._most_rows = np.array([column.most_rows for column in self.columns], np.int64)
        firsts = np.searchsorted(self.detector.table.monitor, np.arange(len(self.columns)))
        self._main = [int(k) + _main_witness(c) for k, c in zip(firsts, self.columns, strict=True)]

    def update(self, pane_start: int, counts: PaneCounts, log_thresholds: Floats) -> list[Change]:
        """One closed pane. `log_thresholds` [monitors], inf where one may not page.

        Panes that hold nothing, or end before `judged_from`, change nothing. Raises ValueError for counts of
        another grid's shape, for a pane that is no later than the last, and for a start inside a pane."""
        if counts.counts.shape != (len(self.section.grid.columns), CODES):
            raise ValueError(f"counts of {counts.counts.shape} for {len(self.section.grid.columns)} columns")
        pane, inside = divmod(pane_start, self.pane_ms)
        end = pane_start + self.pane_ms
        if inside:
            raise ValueError(f"{pane_start} is not the start of a pane of {self.pane_ms} ms")
        if not counts.n or end <= self.judged_from:
            return []
        pane -= self._origin
        if pane <= self.last:
            raise ValueError(f"pane {pane_start} came after a later one")
        self.last = pane
        changes = self.schema.update(max(pane_start, self.judged_from), end, counts)
        if self.columns:
            changes += self._judge(pane, end, self._coarsen(counts), log_thresholds)
        return changes

    def _coarsen(self, counts: PaneCounts) -> NDArray[np.int64]:
        flat = counts.counts[self._rows].ravel()
        sums = np.bincount(self._map, flat, len(self.columns) * WIDTH)  # exact below 2^53
        return sums.astype(np.int64).reshape(-1, WIDTH)

    def _judge(self, pane: int, end: int, coarse: NDArray[np.int64], log_thresholds: Floats) -> list[Change]:
        self.windows.update(end - self.pane_ms, coarse)
        fresh = self.pending_ms == 0
        self.pending_from[fresh] = pane
        self.pending += coarse
        self.pending_ms += min(self.pane_ms, end - self.judged_from)
        rows = self.pending.sum(axis=1)
        values = rows - self.pending[:, MISSING_BIN]
        due = (values >= self.settings.coalesce) | (rows >= self._most_rows)
        if not due.any():
            return []
        of = self.detector.table.monitor
        n = np.where(self._over_rows, rows[of], values[of]).astype(np.float64)
        y = (self._f * self.pending[of]).sum(axis=1) / np.maximum(n, 1.0)
        evidence = self.detector.update(due, y, n, self.pending_ms / DAY_MS, self.pending_from)
        changes = []
        for j in np.flatnonzero(due).tolist():
            noticed = self._consult(j, y, n, end)
            change = self._decide(j, float(evidence[j]), float(log_thresholds[j]), noticed, end)
            if change is not None:
                changes.append(change)
        self.judged[due] += values[due]
        self.pending[due] = 0
        self.pending_ms[due] = 0
        return changes

    def _consult(self, j: int, y: Floats, n: Floats, end: int) -> set[str]:
        k = self._main[j]
        w = self._witnesses[k]
        if n[k] == 0:
            return set()
        if self.columns[j].kind == "rate":
            return self.opinions[j].update_events(round(float(y[k] * n[k])), int(n[k]), end)
        scale = w.sigma * math.sqrt(w.inflation(float(n[k])))
        return self.opinions[j].update(float(y[k] - w.mu) / scale, end)

    def _decide(self, j: int, evidence: float, threshold: float, noticed: set[str], end: int) -> Change | None:
        if self.detector.alarm[j] >= 0:
            return self._resolved(j, end) if self.detector.recovered(j) else None
        if threshold == math.inf:
            return None
        if self.pager == "cbe":
            if evidence < threshold:
                return None
            cell = self.detector.winner(j)
        else:
            if self.pager not in noticed:
                return None
            cell = self.detector.winner(j, self._main[j])
        return self._alarm(j, self.detector.raise_alarm(j, cell), evidence, threshold, end)

    def _alarm(self, j: int, run: Run, evidence: float, threshold: float, end: int) -> Change:
        column, witness = self.columns[j], self._witnesses[run.witness]
        onset = self._time(run.start)
        effect = effect_of(column, witness, run)
        window = self.windows.covering(onset)
        shown = None
        if window is not None:
            ascending = np.asarray(column.scores) if column.kind == "numeric" else None
            shown = distances(column.coarse_counts, window.counts[j], ascending)
        return Change(
            monitor=column.monitor,
            state="alarm",
            severity=severity_of(self.section.stream, column.name),
            time=end,
            onset=onset,
            sentence=alarm_sentence(column, effect, onset),
            effect=effect,
            evidence=self._evidence(j, run, evidence, threshold),
            distances=shown,
        )

    def _resolved(self, j: int, end: int) -> Change:
        evidence = float(self.detector.recovery[j])
        run = self.detector.resolve(j)
        column, witness = self.columns[j], self._witnesses[run.witness]
        since = self._time(run.start)
        effect = effect_of(column, witness, run)
        return Change(
            monitor=column.monitor,
            state="resolved",
            severity=severity_of(self.section.stream, column.name),
            time=end,
            onset=since,
            sentence=resolved_sentence(column, effect, since),
            effect=effect,
            evidence=self._evidence(j, run, evidence, RECOVERED),
        )

    def _evidence(self, j: int, run: Run, evidence: float, threshold: float) -> Evidence:
        return Evidence(
            detector=self.pager,
            log_evidence=evidence,
            log_threshold=threshold,
            n=int(run.n),
            n_eff=run.n_eff,
            opinions=dict(self.opinions[j].noticed),
        )

    def _time(self, pane: int) -> int:
        return max((pane + self._origin) * self.pane_ms, self.judged_from)

    def describe(self, log_thresholds: Floats) -> list[MonitorStatus]:
        """Where every monitor stands."""
        found = []
        for j, column in enumerate(self.columns):
            main = self._witnesses[self._main[j]]
            alarm = bool(self.detector.alarm[j] >= 0)
            found.append(
                MonitorStatus(
                    monitor=column.monitor,
                    alarm=alarm,
                    why_not=column.why_not,
                    log_evidence=float(self.detector.recovery[j]) if alarm else self.detector.evidence(j),
                    log_threshold=RECOVERED if alarm else float(log_thresholds[j]),
                    n=int(self.judged[j]),
                    smallest_shift=_smallest_shift(column, main),
                    a=main.a,
                    b=main.b,
                    delay=_delay(main, float(log_thresholds[j]), self.settings.coalesce),
                    opinions=dict(self.opinions[j].noticed),
                )
            )
        return found

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        held = np.flatnonzero(self.pending)
        return {
            "section": self.section.fingerprint,
            "last": self.last,
            "pending_at": held.astype(np.uint32),
            "pending": self.pending.ravel()[held],
            "pending_ms": self.pending_ms,
            "pending_from": self.pending_from,
            "judged": self.judged,
            "detector": self.detector.to_state(),
            "opinions": [opinion.to_bytes() for opinion in self.opinions],
            "windows": zlib.compress(self.windows.to_bytes(), 1),
            "schema": self.schema.to_state(),
        }

    @staticmethod
    def from_state(
        section: Section, settings: DetectionSettings, judged_from: int, state: dict[str, Any]
    ) -> StreamMonitors:
        """Continues where `to_state` left off, bit for bit. Raises StateCorrupt for another section's state."""
        if state.get("section") != section.fingerprint:
            raise StateCorrupt(f"monitors of {section.stream}: the state belongs to another reference")
        monitors = StreamMonitors(section, settings, judged_from)
        try:
            monitors.last = int(state["last"])
            monitors.pending.ravel()[state["pending_at"]] = state["pending"]
            monitors.pending_ms[...] = state["pending_ms"]
            monitors.pending_from[...] = state["pending_from"]
            monitors.judged[...] = state["judged"]
            monitors.detector = BlockDetector.from_state(section.table, state["detector"])
            held = [Opinions.from_bytes(data) for data in state["opinions"]]
            monitors.windows = Windows.from_bytes(monitors.windows.shape, zlib.decompress(state["windows"]))
            monitors.schema = SchemaRules.from_state(section, state["schema"])
        except (KeyError, IndexError, ValueError, TypeError, zlib.error) as error:
            raise StateCorrupt(f"monitors of {section.stream}: {error}") from None
        if len(held) != len(monitors.columns):
            raise StateCorrupt(f"monitors of {section.stream}: {len(held)} opinions")
        monitors.opinions = held
        return monitors


def severity_of(stream: str, column: str) -> Severity:
    """What hurts is critical, what the model says an error, what it is told a warning."""
    if stream == PAIRS:
        return "critical"
    return "error" if is_about_the_model(column) else "warning"


def is_about_the_model(column: str) -> bool:
    """Error, prediction and score monitors, which get half of the alarm budget."""
    return column in ("error", "abs_error", "loss", "prediction", "score") or column.startswith("scores.")


def _main_witness(column: ColumnReference) -> int:
    """The witness that second opinions hear: the mean, the largest category, the error rate."""
    return next((i for i, witness in enumerate(column.witnesses) if witness.form == "mean"), 0)


def _smallest_shift(column: ColumnReference, witness: Witness) -> str:
    if witness.form == "mean":
        return f"{number(witness.eps * column.sd)} of the mean ({number(witness.eps)} SD)"
    return f"{100.0 * witness.eps:.2g} percentage points of the share of {witness.label}"


def _delay(witness: Witness, log_threshold: float, unit: int) -> int | None:
    shift = 0.2 - witness.eps / witness.sigma
    if shift <= 0.0 or log_threshold == math.inf:
        return None
    nats = log_threshold - math.log(witness.weight / 10.0)
    return math.ceil(nats / (shift * shift / 2.0) * witness.inflation(unit) * unit)
