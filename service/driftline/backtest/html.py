"""The plot as one page: no network, no library; light or dark as the reader has it. Names in it are chosen by others,
so every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from driftline.backtest.axes import LEFT, PLOT_W, Axes, roomy, shown_share
from driftline.backtest.estimates import Estimates, estimate_figure
from driftline.backtest.page_parts import SCRIPT, STYLE
from driftline.backtest.panels import Panel
from driftline.backtest.report import short
from driftline.backtest.result import Result, per_month
from driftline.stats.wording import number


def page(result: Result, panels: Sequence[Panel], estimates: Sequence[Estimates] = ()) -> str:
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
    several = len(result.profiles) > 1
    parts = [
        _legend(any(panel.changes for panel in panels)),
        *(_figure(panel, span, several=several) for panel in alarmed),
        *(["<h1>Performance</h1>"] if estimates else []),
        *estimates_section(estimates, several=several),
    ]
    if quiet:
        parts.append(
            f"<details {'open' if not alarmed else ''}><summary>{len(quiet)} monitors without an alarm</summary>"
        )
        parts += [_figure(panel, span, several=several) for panel in quiet]
        parts.append("</details>")
    return document("Backtest", summary, parts)


def estimates_section(estimates: Sequence[Estimates], *, several: bool) -> list[str]:
    """How well the models did, and were expected to; nothing where scores tell nothing."""
    if not estimates:
        return []
    legend = [
        ("line", "estimated from scores, before outcomes were known"),
        ("band", "two standard errors of what as many outcomes show"),
        ("dot", "measured, by the time outcomes became known"),
        ("parted", "measured, and two errors from what its own scores promised"),
    ]
    return [_list(legend), *(estimate_figure(one, several=several) for one in estimates)]


def document(title: str, summary: str, parts: Sequence[str]) -> str:
    """A whole page of these parts. `title` and `summary` are plain text."""
    title = html.escape(title)
    return "\n".join(
        [
            "<!doctype html><html lang=en><head><meta charset=utf-8>",
            f"<meta name=viewport content='width=device-width, initial-scale=1'><title>Driftline: {title}</title>",
            f"<style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{html.escape(summary)}</p>",
            *parts,
            f"</main><script>{SCRIPT}</script></body></html>",
        ]
    )


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
    return _list(items)


def _list(items: Sequence[tuple[str, str]]) -> str:
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
    axes = Axes(span, *roomy([panel.low, panel.high, *known]), shown_share if panel.share else _shown)
    parts = []
    if len(panel.times):
        if panel.reference_until > span[0]:
            parts.append(axes.box("ref", span[0], panel.reference_until))
        band = f"y={axes.y(panel.high):.1f} height={max(axes.y(panel.low) - axes.y(panel.high), 1):.1f}"
        parts.append(f"<rect class=band x={LEFT} width={PLOT_W} {band} />")
        middle = f"{axes.y(panel.middle):.1f}"
        parts.append(f"<line class=mid x1={LEFT} x2={LEFT + PLOT_W} y1={middle} y2={middle} />")
    parts += [axes.box("alarm", alarm.time, alarm.resolved or span[1]) for alarm in panel.alarms]
    parts += axes.moments()
    if len(panel.times):
        parts += axes.levels()
    if known:
        parts.append(axes.line(panel.times, panel.values))
    for alarm in panel.alarms:
        parts.append(axes.rule("fired", alarm.time, f"alarm {short(alarm.time)}"))
        if alarm.onset is not None:
            parts.append(axes.rule("onset", alarm.onset, f"onset {short(alarm.onset)}"))
    for change in panel.changes:
        parts.append(axes.rule("truth", change.time, f"{change.label or 'known change'} {short(change.time)}"))
    said = [axes.shown(v) if math.isfinite(v) else "no value" for v in panel.values.tolist()]
    return axes.svg(parts, panel.times, said)


def _shown(value: float) -> str:
    return str(number(value))
