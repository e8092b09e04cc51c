"""Metrics by declared name only: an undeclared name, kind or label is an error where it is emitted."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import disable_created_metrics as _without_created_series

from driftline.telemetry.declared_metrics import METRICS, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class UndeclaredMetric(LookupError):
    """A defect of the caller: no such metric, or not with this kind or these labels."""


class Metrics:
    """One process's metrics, each made from its declaration. Instances share nothing, so tests can have many.

    Labelled series appear when first emitted; those without labels stand at 0 from the start. Thread-safe.
    """

    def __init__(self, declared: tuple[Metric, ...] = METRICS, *, process: bool = True) -> None:
        _without_created_series()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._declared = {metric.name: metric for metric in declared}
        self._made = {metric.name: self._make(metric) for metric in declared}
        self._series: dict[str, set[tuple[str, ...]]] = {metric.name: set() for metric in declared}
        self._lock = threading.Lock()
        if process:
            ProcessCollector(registry=self._registry)

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        match metric.kind:
            case "counter":
                return Counter(metric.name, metric.meaning, metric.labels, registry=self._registry)
            case "gauge":
                return Gauge(metric.name, metric.meaning, metric.labels, registry=self._registry)
            case "histogram":
                return Histogram(
                    metric.name, metric.meaning, metric.labels, registry=self._registry, buckets=metric.buckets
                )

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

    def _find(self, name: str, labels: dict[str, str | int]) -> Counter | Gauge | Histogram:
        metric = self._declared.get(name)
        if metric is None:
            raise UndeclaredMetric(f"{name} is not in declared_metrics.py")
        if set(labels) != set(metric.labels):
            raise UndeclaredMetric(f"{name} has the labels {metric.labels}, not {tuple(labels)}")
        made = self._made[name]
        if not metric.labels:
            return made
        values = tuple(str(labels[label]) for label in metric.labels)
        with self._lock:
            self._series[name].add(values)
            return made.labels(*values)

    def forget(self, **labels: str | int) -> None:
        """Drop every gauge series that carries all these labels: a partition that is somebody else's now must
        not go on reporting its last value here. Counters and histograms stay: they only ever grow."""
        wanted = {(label, str(value)) for label, value in labels.items()}
        with self._lock:
            for name, metric in self._declared.items():
                if metric.kind != "gauge":
                    continue
                for values in list(self._series[name]):
                    if wanted <= set(zip(metric.labels, values, strict=True)):
                        self._made[name].remove(*values)
                        self._series[name].discard(values)

    def value(self, name: str, **labels: str | int) -> float:
        """The present value of a counter or gauge series; 0 where there is none yet. Emits nothing."""
        if name not in self._declared:
            raise UndeclaredMetric(f"{name} is not in declared_metrics.py")
        found = self._registry.get_sample_value(name, {k: str(v) for k, v in labels.items()})
        return 0.0 if found is None else found

    def render(self) -> bytes:
        """The text exposition that `/metrics` serves (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)
