"""The plot as one page: no network, no library; light or dark as the reader has it. Names in it are chosen by others,
so every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final

import msgspec

from driftline.backtest.page_parts import SCRIPT, STYLE
from driftline.backtest.panels import Panel
from driftline.backtest.report import short
from driftline.backtest.result import Result, per_month
from driftline.stats.wording import number

WIDTH: Final = 960
HEIGHT: Final = 190
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 24
_PLOT_W: Final = WIDTH - LEFT - RIGHT
_PLOT_H: Final = HEIGHT - TOP - BOTTOM


def page(result: Result, panels: Sequence[Panel]) -> str:
    span = _span(result, panels)
    alarmed = [panel for panel in panels if panel.alarms]
    quiet = [panel for panel in panels if not panel.alarms]
    alarms = len(result.alarms())
    summary = (
        f"{alarms} alarms of {len(alarmed)} monitors in {result.days:,.1f} days judged "
        f"({per_month(alarms, result.days):.1f} in 30 days). {result.summary.events:,} predictions, "
        f"{result.summary.outcomes:,} outcomes, {result.summary.refused:,} refused, {result.summary.late:,} late. "
        f"{len(result.requests)} retraining request{'s' * (len(result.requests) != 1)}."
    )
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'><title>Driftline backtest</title>",
        f"<style>{STYLE}</style></head><body><main><h1>Backtest</h1><p>{html.escape(summary)}</p>",
        _legend(any(panel.changes for panel in panels)),
        *(_figure(panel, span, several=len(result.profiles) > 1) for panel in alarmed),
    ]
    if quiet:
        parts.append(
            f"<details {'open' if not alarmed else ''}><summary>{len(quiet)} monitors without an alarm</summary>"
        )
        parts += [_figure(panel, span, several=len(result.profiles) > 1) for panel in quiet]
        parts.append("</details>")
    parts.append(f"</main><script>{SCRIPT}</script></body></html>")
    return "\n".join(parts)


def _legend(truth: bool) -> str:
    items = [
        ("line", "figure per bucket"),
        ("band", "expected: the reference, the smallest effect, two standard errors"),
        ("ref", "reference, not judged"),
        ("alarm", "alarm, until resolved"),
        ("onset", "onset"),
    ]
    if truth:
        items.append(("truth", "known change"))
    return "<ul class=legend>" + "".join(f"<li><i class=k-{k}></i>{t}</li>" for k, t in items) + "</ul>"


def _span(result: Result, panels: Sequence[Panel]) -> tuple[float, float]:
    times = [float(t) for panel in panels if len(panel.times) for t in (panel.times[0], panel.times[-1])]
    times += [float(alarm.time) for panel in panels for alarm in panel.alarms]
    begin, end = min(times, default=0.0), max(times, default=1.0)
    return begin, end if end > begin else begin + 1.0


def _figure(panel: Panel, span: tuple[float, float], *, several: bool) -> str:
    name = f"{panel.model} {panel.version} · {panel.monitor}" if several else panel.monitor
    said = "".join(
        f"<li><time>{short(alarm.time)}</time> {html.escape(alarm.sentence)}"
        + (f" <span class=back>resolved {short(alarm.resolved)}</span>" if alarm.resolved else "")
        + "</li>"
        for alarm in panel.alarms[:8]
    )
    note = f"<p class=why>{html.escape(panel.why_not)}</p>" if panel.why_not else ""
    body = _svg(panel, span) if len(panel.times) or panel.alarms else ""
    return (
        f"<section><h2>{html.escape(name)} <small>{html.escape(panel.what)}</small></h2>{note}{body}"
        f"{f'<ul class=said>{said}</ul>' if said else ''}</section>"
    )


def _svg(panel: Panel, span: tuple[float, float]) -> str:
    known = [float(v) for v in panel.values if math.isfinite(v)]
    low, high = min([panel.low, *known]), max([panel.high, *known])
    room = 0.06 * (high - low or abs(high) or 1.0)
    low, high = low - room, high + room

    def x(time: float) -> float:
        return LEFT + _PLOT_W * (min(max(time, span[0]), span[1]) - span[0]) / (span[1] - span[0])

    def y(value: float) -> float:
        return TOP + _PLOT_H * (1.0 - (value - low) / (high - low))

    def box(kind: str, begin: float, end: float) -> str:
        width = max(x(end) - x(begin), 1.0)
        return f"<rect class={kind} x={x(begin):.1f} y={TOP} width={width:.1f} height={_PLOT_H} />"

    def rule(kind: str, time: float, title: str) -> str:
        at = f"{x(time):.1f}"
        words = f"<title>{html.escape(title)}</title>"
        return f"<line class={kind} x1={at} x2={at} y1={TOP} y2={TOP + _PLOT_H}>{words}</line>"

    parts = []
    if len(panel.times):
        if panel.reference_until > span[0]:
            parts.append(box("ref", span[0], panel.reference_until))
        band = f"y={y(panel.high):.1f} height={max(y(panel.low) - y(panel.high), 1):.1f}"
        parts.append(f"<rect class=band x={LEFT} width={_PLOT_W} {band} />")
        middle = f"{y(panel.middle):.1f}"
        parts.append(f"<line class=mid x1={LEFT} x2={LEFT + _PLOT_W} y1={middle} y2={middle} />")
    parts += [box("alarm", alarm.time, alarm.resolved or span[1]) for alarm in panel.alarms]
    parts += _ticks(panel, span, low, high, x, y)
    if known:
        parts.append(f"<path class=line d='{_path(panel, x, y)}' />")
    for alarm in panel.alarms:
        parts.append(rule("fired", alarm.time, f"alarm {short(alarm.time)}"))
        if alarm.onset is not None:
            parts.append(rule("onset", alarm.onset, f"onset {short(alarm.onset)}"))
    for change in panel.changes:
        parts.append(rule("truth", change.time, f"{change.label or 'known change'} {short(change.time)}"))
    points = [
        (round(x(time), 1), short(int(time)), _figure_of(panel, value))
        for time, value in zip(panel.times.tolist(), panel.values.tolist(), strict=True)
    ]
    data = html.escape(msgspec.json.encode(points).decode(), quote=True)
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img data-points=\"{data}\">{''.join(parts)}"
        f"<line class=cross y1={TOP} y2={TOP + _PLOT_H} /><text class=read y={TOP + 12}></text></svg>"
    )


def _path(panel: Panel, x: object, y: object) -> str:
    """Broken where a bucket holds nothing."""
    assert callable(x) and callable(y)
    parts, pen = [], "M"
    for time, value in zip(panel.times, panel.values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{x(float(time)):.1f} {y(float(value)):.1f}")
        pen = "L"
    return "".join(parts)


def _ticks(panel: Panel, span: tuple[float, float], low: float, high: float, x: object, y: object) -> list[str]:
    assert callable(x) and callable(y)
    parts = []
    if len(panel.times):
        for value in _levels(low, high):
            at = f"{y(value):.1f}"
            parts.append(f"<line class=grid x1={LEFT} x2={LEFT + _PLOT_W} y1={at} y2={at} />")
            parts.append(f"<text class=ylab x={LEFT - 6} y={at} dy=3>{_figure_of(panel, value)}</text>")
    for time, label in _moments(span):
        parts.append(f"<text class=xlab x={x(time):.1f} y={HEIGHT - 8}>{label}</text>")
    return parts


def _figure_of(panel: Panel, value: float) -> str:
    if not math.isfinite(value):
        return "no value"
    return f"{100.0 * value:.4g} %" if panel.share else number(value)


def _levels(low: float, high: float) -> list[float]:
    """Three to six round figures between the two."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _moments(span: tuple[float, float]) -> list[tuple[float, str]]:
    """Six to eight moments at even distances, as dates; as hours too where they are close."""
    count = 7
    gap = (span[1] - span[0]) / count
    days = gap >= 86_400_000
    made = []
    for k in range(count):
        time = span[0] + gap * (k + 0.5)
        if days:
            time = round(time / 86_400_000) * 86_400_000
        text = short(int(time))
        made.append((time, text[:10] if days else text[5:]))
    return made
