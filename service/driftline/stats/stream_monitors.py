"""All monitors of one stream of a model: panes in, changes of verdict out.

A pure function of the sequence of (pane start, counts): counts are integers, so the same events give the same
floats in whatever order their blocks were merged. Each monitor judges units of consecutive panes (`units`).
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS
from driftline.contracts.records import Evidence, Severity
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.budget import is_about_the_model
from driftline.stats.cbe import RECOVERED, BlockDetector, Run
from driftline.stats.change import Change, no_longer
from driftline.stats.codes import CODES, MISSING
from driftline.stats.common_causes import Moved
from driftline.stats.constant_rules import ConstantRules
from driftline.stats.contributions import part_sentence, parts_of
from driftline.stats.detector_rules import DetectorRule, parse
from driftline.stats.distance_limits import DistanceLimits
from driftline.stats.distances import distances
from driftline.stats.duplicate_rules import DuplicateRules
from driftline.stats.joint import MONITOR as JOINT
from driftline.stats.joint_rules import JointRules
from driftline.stats.limits import Limits
from driftline.stats.opinions import Opinions
from driftline.stats.reach import main_witness
from driftline.stats.schema_rules import SchemaRules
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shape import shape_of
from driftline.stats.traffic_rules import TrafficRules
from driftline.stats.unit_change import unit_change, unit_sentence
from driftline.stats.units import Unit, Units
from driftline.stats.watch import VarianceWatch
from driftline.stats.windows import Windows
from driftline.stats.witness import WIDTH
from driftline.stats.wording import alarm_sentence, effect_of, resolved_sentence

Floats = NDArray[np.float64]


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
        self.opinions = [Opinions(self._rules_of(column)) for column in self._heard()]
        self.raised: dict[int, str] = {}
        """By column in alarm: the detector that raised it."""
        self.limits = Limits(section, settings)
        self.thresholds = DistanceLimits(section, settings)
        self.schema = SchemaRules(section)
        self.constant = ConstantRules(section)
        self.traffic = TrafficRules(section.stream, section.traffic, judged_from, self.pane_ms)
        self.duplicates = None
        if section.duplicates is not None:
            self.duplicates = DuplicateRules(section.duplicates, in_events=settings.unit == "events")
        self.joint = None
        if section.joint is not None:
            in_events = settings.unit == "events"
            self.joint = JointRules(section, section.joint, settings.coalesce, in_events=in_events)
        self.windows = Windows((m, WIDTH))
        self.last = -1
        self.units = Units(section, settings.coalesce, in_events=settings.unit == "events")
        self.judged = np.zeros(m, np.int64)
        self._prepare()
        self.variance = VarianceWatch(section, self.main)

    def _prepare(self) -> None:
        self.pager = self.settings.errors_pager if self.section.stream == PAIRS else self.settings.features_pager
        # In order of precedence: who speaks first when several do.
        self._pagers = [
            [self.pager, *(rule.name for rule in self._rules_of(column) if rule.role == "page")]
            if column.aspect == "values"
            else ["cbe"]
            for column in self.columns
        ]
        self._of_values = np.array([column.aspect == "values" for column in self.columns], np.bool_)
        self._origin = self.judged_from // self.pane_ms
        index = self.section.grid.index
        self._rows = np.array([index[column.name] for column in self.columns], np.intp)
        self.witnesses = [witness for column in self.columns for witness in column.witnesses]
        firsts = np.searchsorted(self.detector.table.monitor, np.arange(len(self.columns)))
        self.main = [int(k) + main_witness(c) for k, c in zip(firsts, self.columns, strict=True)]

    def _heard(self) -> list[ColumnReference]:
        """The columns that second opinions are asked about; they come first."""
        return [column for column in self.columns if column.aspect == "values"]

    def _rules_of(self, column: ColumnReference) -> list[DetectorRule]:
        binary = column.kind == "rate"
        rules = [rule for rule in self.settings.detectors if rule.hears(column.monitor)]
        return [rule for rule in rules if binary or not parse(rule.detector).binary]

    def update(
        self, pane_start: int, counts: PaneCounts, log_thresholds: Floats, duplicates: int = 0
    ) -> list[Change]:
        """One closed pane, and how many `duplicates` of rows are of its time. `log_thresholds` of `section.paging`,
        inf where one may not page.

        Panes that hold nothing, or end before `judged_from`, change nothing. Raises ValueError for counts of
        another grid's shape, for a pane that is no later than the last, and for a start inside a pane."""
        if counts.counts.shape != (len(self.section.grid.columns), CODES):
            raise ValueError(f"counts of {counts.counts.shape} for {len(self.section.grid.columns)} columns")
        pane, inside = divmod(pane_start, self.pane_ms)
        end = pane_start + self.pane_ms
        if inside:
            raise ValueError(f"{pane_start} is not the start of a pane of {self.pane_ms} ms")
        if not (counts.n or duplicates) or end <= self.judged_from:
            return []
        pane -= self._origin
        if pane <= self.last:
            raise ValueError(f"pane {pane_start} came after a later one")
        self.last = pane
        start = max(pane_start, self.judged_from)
        again = []
        if self.duplicates is not None:
            threshold = float(log_thresholds[len(self.columns)])
            again = self.duplicates.update(start, end, counts.n, duplicates, threshold)
        if not counts.n:
            return again
        changes = (
            again + self._ended(end) + self.traffic.elapse(pane_start) + self.traffic.update(start, end, counts.n)
        )
        changes += self.schema.update(start, end, counts) + self.constant.update(start, end, counts)
        changes += self.limits.update(start, end, counts)
        if self.columns:
            changes += self._judge(pane, end, counts, log_thresholds[: len(self.columns)])
        if self.joint is not None:
            changes += self._judge_together(self.joint, pane, end, counts, float(log_thresholds[-1]))
        return changes

    def elapse(self, until: int) -> list[Change]:
        """No pane is to come that ends by `until`, but those that came."""
        ended = self._ended(until) + self.limits.end_dropped(until) + self.thresholds.end_dropped(until)
        return ended + self.traffic.elapse(until)

    def _ended(self, at: int) -> list[Change]:
        """The alarms of detectors that the configuration lets raise none any more."""
        changes = []
        for j in [j for j, name in self.raised.items() if name not in self._pagers[j]]:
            self.detector.resolve(j)
            monitor, name = self.columns[j].monitor, self.raised.pop(j)
            changes.append(
                no_longer(monitor, at, f"{name} raises no alarms of {monitor} by the configuration any more")
            )
        return changes

    def _judge(self, pane: int, end: int, counts: PaneCounts, log_thresholds: Floats) -> list[Change]:
        coarse = self.section.coarsen(counts.counts)
        self.windows.update(end - self.pane_ms, coarse)
        crossed = self.thresholds.update(max(end - self.pane_ms, self.judged_from), end, coarse)
        middle = end - self.pane_ms + self.pane_ms // 2
        unit = self.units.update(pane, middle, min(self.pane_ms, end - self.judged_from), coarse)
        if unit is None:
            return crossed
        quiet = self.detector.alarm < 0
        evidence = self.detector.update(unit.due, unit.y, unit.n, unit.ratio, unit.length, unit.start)
        changes = crossed
        z = self.variance.standardise(unit)
        for j in np.flatnonzero(unit.due).tolist():
            noticed = self._consult(j, unit, float(z[j]), end)
            change = self._decide(j, float(evidence[j]), float(log_thresholds[j]), noticed, end, counts)
            if change is not None:
                changes.append(change)
        self.judged[unit.due] += unit.values[unit.due]
        alarmed = ~quiet | (self.detector.alarm >= 0)
        origin_ms = self._origin * self.pane_ms
        watched = np.where(self._of_values, log_thresholds, np.inf)
        return changes + self.variance.update(unit, alarmed, watched, end, origin_ms, self.pane_ms)

    def _judge_together(
        self, joint: JointRules, pane: int, end: int, counts: PaneCounts, log_threshold: float
    ) -> list[Change]:
        alone = {self.columns[j].name for j in np.flatnonzero(self.detector.alarm >= 0).tolist()}
        found = joint.update(pane, min(self.pane_ms, end - self.judged_from), counts, log_threshold, alone)
        if found is None:
            return []
        return [joint.change(found, end, self._time(found[1].start), log_threshold)]

    def _consult(self, j: int, unit: Unit, z: float, end: int) -> set[str]:
        k = self.main[j]
        if unit.n[k] == 0 or not self._of_values[j]:
            return set()
        if self.columns[j].kind == "rate":
            return self.opinions[j].update_events(round(float(unit.raw[k] * unit.n[k])), int(unit.n[k]), end)
        return self.opinions[j].update(z, end)

    def _decide(
        self, j: int, evidence: float, threshold: float, noticed: set[str], end: int, counts: PaneCounts
    ) -> Change | None:
        if self.detector.alarm[j] >= 0:
            return self._resolved(j, end) if self.detector.recovered(j) else None
        if threshold == math.inf:
            return None
        heard = noticed | {"cbe"} if evidence >= threshold else noticed
        pager = next((name for name in self._pagers[j] if name in heard), None)
        if pager is None:
            return None
        cell = self.detector.winner(j, None if pager == "cbe" else self.main[j])
        return self._alarm(j, self.detector.raise_alarm(j, cell), pager, evidence, threshold, end, counts)

    def _alarm(
        self, j: int, run: Run, pager: str, evidence: float, threshold: float, end: int, counts: PaneCounts
    ) -> Change:
        column, witness = self.columns[j], self.witnesses[run.witness]
        self.raised[j] = pager
        onset = self._time(run.start)
        effect = effect_of(column, witness, run)
        window = self.windows.covering(onset)
        shown = None
        inflation = max(run.n / run.n_eff, 1.0) if run.n_eff else 1.0
        grid = self.section.grid.columns[self._rows[j]]
        if window is not None:
            ascending = np.asarray(column.scores) if column.kind == "numeric" and self._of_values[j] else None
            shown = distances(column.coarse_counts, window.counts[j], ascending)
            since = window.counts[j]
            parts, shape = parts_of(column, grid, since, inflation), shape_of(column, grid, since)
            effect = msgspec.structs.replace(effect, parts=parts, shape=shape)
        sentence = alarm_sentence(column, effect, onset)
        if witness.form in ("mean", "spread") and effect.parts:
            sentence += f" Most of it: {part_sentence(effect.parts[0])}."
        if column.kind == "numeric":
            i = int(self._rows[j])
            n_eff = int(counts.counts[i, :MISSING].sum()) / inflation
            known = unit_change(grid, column.fine_counts, counts.counts[i], counts.moments[i], n_eff)
            if known is not None:
                effect = msgspec.structs.replace(effect, unit_change=known)
                sentence += f" {unit_sentence(known)}"
        return Change(
            monitor=column.monitor,
            state="alarm",
            severity=severity_of(self.section.stream, column),
            time=end,
            onset=onset,
            sentence=sentence,
            effect=effect,
            evidence=self._evidence(j, run, pager, evidence, threshold),
            distances=shown,
        )

    def _resolved(self, j: int, end: int) -> Change:
        evidence = float(self.detector.recovery[j])
        run = self.detector.resolve(j)
        del self.raised[j]
        column, witness = self.columns[j], self.witnesses[run.witness]
        since = self._time(run.start)
        effect = effect_of(column, witness, run)
        return Change(
            monitor=column.monitor,
            state="resolved",
            severity=severity_of(self.section.stream, column),
            time=end,
            onset=since,
            sentence=resolved_sentence(column, effect, since),
            effect=effect,
            evidence=self._evidence(j, run, self.pager, evidence, RECOVERED),
        )

    def _evidence(self, j: int, run: Run, pager: str, evidence: float, threshold: float) -> Evidence:
        return Evidence(
            detector=pager,
            log_evidence=evidence,
            log_threshold=threshold,
            n=int(run.n),
            n_eff=run.n_eff,
            opinions=self.noticed(j),
        )

    def noticed(self, j: int) -> dict[str, int | None]:
        """When each second opinion of a column first noticed something (ms); none is asked but about values."""
        return self.opinions[j].noticed if self._of_values[j] else {}

    def _time(self, pane: int) -> int:
        return max((pane + self._origin) * self.pane_ms, self.judged_from)

    def moved(self) -> list[Moved]:
        """The monitors in alarm, with the evidence and the onset with which each was raised."""
        found = []
        for j in np.flatnonzero(self.detector.alarm >= 0).tolist():
            onset = self._time(self.detector.run(int(self.detector.alarm[j])).start)
            found.append(Moved(self.columns[j].monitor, onset, self.detector.evidence(j)))
        if self.joint is not None and (since := self.joint.since()) is not None:
            found.append(self.joint.moved(self._time(since)))
        return found

    @property
    def in_alarm(self) -> list[str]:
        """Every monitor that is, of whatever kind."""
        named = [self.columns[j].monitor for j in np.flatnonzero(self.detector.alarm >= 0).tolist()]
        for rules in (self.traffic, self.schema, self.constant, self.limits, self.thresholds, self.variance):
            named += rules.in_alarm
        if self.duplicates is not None:
            named += self.duplicates.in_alarm
        if self.joint is not None and self.joint.alarm:
            named.append(JOINT)
        return [*named, *self.limits.dropped]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {
            "section": self.section.fingerprint,
            "last": self.last,
            "units": self.units.to_state(),
            "variance": self.variance.to_state(),
            "judged": self.judged,
            "detector": self.detector.to_state(),
            "raised": {self.columns[j].monitor: name for j, name in sorted(self.raised.items())},
            "opinions": [opinion.to_bytes() for opinion in self.opinions],
            "windows": zlib.compress(self.windows.to_bytes(), 1),
            "schema": self.schema.to_state(),
            "constant": self.constant.to_state(),
            "traffic": self.traffic.to_state(),
            "limits": self.limits.to_state(),
            "thresholds": self.thresholds.to_state(),
            "duplicates": {} if self.duplicates is None else self.duplicates.to_state(),
        } | ({} if self.joint is None else {"joint": self.joint.to_state()})

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
            monitors.units.restore(state["units"])
            monitors.variance.restore(state["variance"])
            monitors.judged[...] = state["judged"]
            monitors.detector = BlockDetector.from_state(section.table, state["detector"])
            at = {column.monitor: j for j, column in enumerate(monitors.columns)}
            monitors.raised = {at[monitor]: str(name) for monitor, name in dict(state["raised"]).items()}
            held = [
                Opinions.from_bytes(data, monitors._rules_of(column))
                for column, data in zip(monitors._heard(), state["opinions"], strict=True)
            ]
            monitors.windows = Windows.from_bytes(monitors.windows.shape, zlib.decompress(state["windows"]))
            monitors.schema = SchemaRules.from_state(section, state["schema"])
            monitors.constant = ConstantRules.from_state(section, state["constant"])
            monitors.traffic.restore(state["traffic"])
            monitors.limits = Limits.from_state(section, settings, state["limits"])
            monitors.thresholds.restore(state["thresholds"])
            if monitors.duplicates is not None:
                monitors.duplicates.restore(state["duplicates"])
            if monitors.joint is not None:
                monitors.joint.restore(state["joint"])
        except (KeyError, IndexError, ValueError, TypeError, zlib.error) as error:
            raise StateCorrupt(f"monitors of {section.stream}: {error}") from None
        monitors.opinions = held
        return monitors


def severity_of(stream: str, column: ColumnReference) -> Severity:
    """What hurts is critical, what the model says an error, what it is told, and how well, a warning."""
    if column.aspect != "values":
        return "warning"
    if stream == PAIRS:
        return "critical"
    return "error" if is_about_the_model(column.name) else "warning"
