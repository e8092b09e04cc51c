"""Metrics by declared name only: an undeclared name, kind or label is an error where it is emitted."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import disable_created_metrics as _without_created_series

from driftline.telemetry.declared_metrics import METRICS
from driftline.telemetry.metric import MAX_VALUE, OTHER, Label, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OVERFLOW = "driftline_label_overflow_total"


class UndeclaredMetric(LookupError):
    """A defect of the caller: no such metric, or not with this kind or these labels."""


class Metrics:
    """One process's metrics, each made from its declaration. Instances share nothing, so tests can have many.

    Counters whose labels are closed stand at 0 from the start, so that `increase()` sees the first; other labelled
    series appear when first emitted. A label's value beyond what is declared is counted under `other`; `strict`, it is
    an error instead. Thread-safe.
    """

    def __init__(
        self, declared: tuple[Metric, ...] = METRICS, *, process: bool = True, strict: bool = False
    ) -> None:
        _without_created_series()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._strict = strict
        self._declared = {metric.name: metric for metric in declared}
        self._made = {metric.name: self._make(metric) for metric in declared}
        self._series: dict[str, set[tuple[str, ...]]] = {metric.name: set() for metric in declared}
        self._lock = threading.RLock()
        for metric in declared:
            if metric.kind == "counter" and metric.labels and all(label.values for label in metric.labels):
                for values in product(*(label.values for label in metric.labels)):
                    self.inc(metric.name, 0, **dict(zip(metric.label_names, values, strict=True)))
        if process:
            ProcessCollector(registry=self._registry)

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        names = metric.label_names
        match metric.kind:
            case "counter":
                return Counter(metric.name, metric.meaning, names, registry=self._registry)
            case "gauge":
                return Gauge(metric.name, metric.meaning, names, registry=self._registry)
            case "histogram":
                return Histogram(
                    metric.name, metric.meaning, names, registry=self._registry, buckets=metric.buckets
                )

    def declared(self, name: str) -> Metric:
        metric = self._declared.get(name)
        if metric is None:
            raise UndeclaredMetric(f"{name} is not in declared_metrics.py")
        return metric

    def inc(self, name: str, amount: float = 1, **labels: str | int) -> None:
        """Add to a counter. ValueError for a negative amount."""
        made = self._find(name, labels)
        if not isinstance(made, Counter):
            raise UndeclaredMetric(f"{name} is not a counter")
        made.inc(amount)

    def set(self, name: str, value: float, **labels: str | int) -> None:
        made = self._find(name, labels)
        if not isinstance(made, Gauge):
            raise UndeclaredMetric(f"{name} is not a gauge")
        made.set(value)

    def observe(self, name: str, value: float, **labels: str | int) -> None:
        made = self._find(name, labels)
        if not isinstance(made, Histogram):
            raise UndeclaredMetric(f"{name} is not a histogram")
        made.observe(value)

    def show(self, name: str, values: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """All that a gauge says from now on; what it said before is gone. The first come have the room that the
        labels' caps leave; what does not fit adds up under `other`."""
        metric, made = self.declared(name), self._made[name]
        if not isinstance(made, Gauge) or not metric.labels:
            raise UndeclaredMetric(f"{name} is not a gauge with labels")
        with self._lock:
            self._forget(metric, list(self._series[name]))
            sums: dict[tuple[str, ...], float] = {}
            for labels, value in values:
                series = self._admit(metric, labels)
                sums[series] = sums.get(series, 0.0) + value
            for series, total in sums.items():
                made.labels(*series).set(total)

    def _find(self, name: str, labels: Mapping[str, str | int]) -> Counter | Gauge | Histogram:
        metric, made = self.declared(name), self._made[name]
        with self._lock:
            series = self._admit(metric, labels)
            return made.labels(*series) if series else made

    def _admit(self, metric: Metric, labels: Mapping[str, str | int]) -> tuple[str, ...]:
        """The values of a series, each as its label admits it."""
        if set(labels) != set(metric.label_names):
            raise UndeclaredMetric(f"{metric.name} has the labels {metric.label_names}, not {tuple(labels)}")
        series = tuple(str(labels[name])[:MAX_VALUE] for name in metric.label_names)
        held = self._series[metric.name]
        if series in held or not series:
            return series
        series = tuple(
            self._value(metric, label, value, {known[at] for known in held})
            for at, (label, value) in enumerate(zip(metric.labels, series, strict=True))
        )
        held.add(series)
        return series

    def _value(self, metric: Metric, label: Label, value: str, held: AbstractSet[str]) -> str:
        room = value in label.values if label.values else value in held or len(held - {OTHER}) < label.cap
        if room or value == OTHER:
            return value
        if self._strict:
            raise UndeclaredMetric(f"{metric.name} takes no further {label.name} such as {value!r}")
        if metric.name != _OVERFLOW and _OVERFLOW in self._declared:
            self.inc(_OVERFLOW, metric=metric.name)
        return OTHER

    def forget(self, **labels: str | int) -> None:
        """Drop every gauge series that carries all these labels: a partition that is somebody else's now must
        not go on reporting its last value here. Counters and histograms stay: they only ever grow."""
        wanted = {(label, str(value)) for label, value in labels.items()}
        with self._lock:
            for name, metric in self._declared.items():
                if metric.kind == "gauge":
                    names = metric.label_names
                    self._forget(
                        metric, [s for s in self._series[name] if wanted <= set(zip(names, s, strict=True))]
                    )

    def _forget(self, metric: Metric, series: Iterable[tuple[str, ...]]) -> None:
        for values in series:
            self._made[metric.name].remove(*values)
            self._series[metric.name].discard(values)

    def value(self, name: str, **labels: str | int) -> float:
        """The present value of a counter or gauge series; 0 where there is none yet. Emits nothing."""
        self.declared(name)
        found = self._registry.get_sample_value(name, {k: str(v) for k, v in labels.items()})
        return 0.0 if found is None else found

    def render(self) -> bytes:
        """The text exposition that `/metrics` serves (`CONTENT_TYPE`)."""
        with self._lock:
            return generate_latest(self._registry)
