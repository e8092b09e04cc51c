"""What a person sees: a live picture on a terminal, lines elsewhere, and the tables of the end."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from driftline.demo.checks import Check
from driftline.demo.notified import gravest
from driftline.demo.report import Report
from driftline.demo.watch import Seen

LINE_EVERY_S: Final = 5.0
MOST_WEEKS: Final = 16
SIGNALS_SHOWN: Final = 5
ALERTS_SHOWN: Final = 5
ALARMS_SHOWN: Final = 15
ERRORS: Final = frozenset({"error", "loss", "abs_error"})
_BAR: Final = 40
_FULL: Final = 0.5
"""The error rate at which a week's bar is full."""
_COLOURS: Final = {
    "alarm": "bold red",
    "resolved": "green",
    "info": "cyan",
    "open": "bold red",
    "updated": "red",
    "retrain": "bold magenta",
    "told": "magenta",
}


@dataclass
class Scene:
    """What there is to show."""

    phase: str = ""
    done: int = 0
    total: int = 0
    per_second: float = 0.0
    event_time: int = 0
    seen: Seen = field(default_factory=Seen)
    notes: list[str] = field(default_factory=list)


class Screen:
    """For `with`. `show` as often as you like; `note` for what is to stay. `plain`: lines, no picture."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = not console.is_terminal or console.is_dumb_terminal
        self._live = None if self.plain else Live(console=console, refresh_per_second=5)
        self._line_due = 0.0

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(Text(""))
            self._live.stop()
            self._live = None

    def note(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def show(self, scene: Scene, now: float) -> None:
        """`now`: monotonic seconds."""
        if self._live is not None:
            self._live.update(picture(scene, self.console.height))
        elif scene.total and now >= self._line_due:
            self._line_due = now + LINE_EVERY_S
            self.note(line(scene))


def line(scene: Scene) -> str:
    alarms = sum(state == "alarm" for state, *_ in scene.seen.signals)
    alerts = sum(state in ("open", "updated", "resolved") for state, *_ in scene.seen.alerts)
    return (
        f"{scene.done:,} of {scene.total:,} events, {scene.per_second:,.0f}/s; published up to "
        f"{_published(scene)}, judged up to {_judged(scene)}; alarms: {alarms}, alerts: {alerts}"
    )


def picture(scene: Scene, height: int) -> RenderableType:
    """Fits `height` lines if that is 30 or more: a lower terminal sees the upper part."""
    parts: list[RenderableType] = [Text(scene.phase, style="bold")]
    if scene.total:
        facts = Table.grid(padding=(0, 2))
        facts.add_row(
            ProgressBar(scene.total, scene.done, width=_BAR),
            f"{scene.done:,} events",
            f"{scene.per_second:,.0f}/s",
            f"published: {_published(scene)}",
            f"judged: {_judged(scene)}",
        )
        parts.append(facts)
        parts.append(_weeks(scene.seen, max(4, min(MOST_WEEKS, height - 30))))
        said = _said(scene.seen.signals, SIGNALS_SHOWN)
        parts.append(Panel(said, title="signals", title_align="left"))
        said = _said(scene.seen.alerts, ALERTS_SHOWN)
        parts.append(Panel(said, title="alerts, retraining, deployment", title_align="left"))
    parts += [Text(note, style="yellow") for note in scene.notes]
    return Group(*parts)


def _weeks(seen: Seen, shown: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for week, (n, errors) in sorted(seen.weeks.items())[-shown:]:
        if n:
            rate = errors / n
            bar = "█" * round(min(rate / _FULL, 1.0) * _BAR)
            table.add_row(f"{day(week):>6}", f"{rate:6.1%}", Text(bar, style="red" if rate > _FULL / 2 else "blue"))
    return Panel(table, title="error by week (from blocks)", title_align="left")


def _said(said: Sequence[tuple[str, str, int, str]], shown: int) -> RenderableType:
    lines = [
        Text.assemble((f"{state:9}", _COLOURS.get(state, "")), (f"{day(time):>6}  ", "dim"), sentence)
        for state, _, time, sentence in said[-shown:]
    ]
    return Group(*lines) if lines else Text("none yet", style="dim")


def _published(scene: Scene) -> str:
    return day(scene.event_time) if scene.done else "-"


def _judged(scene: Scene) -> str:
    return "-" if scene.seen.watermark is None else day(scene.seen.watermark)


def day(time: int) -> str:
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return f"{moment.day} {moment:%b}"


def show_report(console: Console, report: Report, checks: Sequence[Check]) -> None:
    """The tables of the end."""
    console.print(alarms_table(report.signals))
    console.print(_incidents(report.alarms))
    for row in report.retraining:
        _show_retraining(console, row)
    if report.performance:
        console.print(_performance(report.performance))
    _show_notifications(console, report.notifications)
    figures = Table("", "", title="counted from the blocks topic and Redis", title_justify="left", box=None)
    figures.columns[1].justify = "right"
    for name in (
        "predictions_published",
        "outcomes_published",
        "predictions_counted",
        "outcomes_counted",
        "duplicates",
        "refused",
        "joined",
        "pending",
        "expired",
        "orphans",
    ):
        figures.add_row(name.replace("_", " "), f"{getattr(report, name):,}")
    latency = report.signal_latency_s
    figures.add_row("last event to signal, p50 / p99", f"{_seconds(latency['p50'])} / {_seconds(latency['p99'])}")
    for version, counts in report.by_version.items():
        figures.add_row(f"predictions counted, {version}", f"{counts['predictions']:,}")
    for kill in report.kills:
        figures.add_row(f"{kill['stage']} killed after", f"{kill['published']:,} events")
    console.print(figures)
    for check in checks:
        verdict = Text("  ok  ", style="green") if check.holds else Text(" FAIL ", style="bold white on red")
        console.print(Text.assemble(verdict, check.claim, (f"  {check.detail}" if check.detail else "", "dim")))
    for row in report.retraining:
        console.print(Text(answer_of(row), style="bold"))


def alarms_table(signals: Sequence[Mapping[str, Any]]) -> Table:
    """One line for what moved together: monitors of one kind with the same onset and day of the alarm."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    over: dict[tuple[str, str], list[str]] = {}
    for signal in signals:
        column, _, kind = signal["monitor"].rpartition(":")
        if signal["state"] == "alarm":
            what = signal["version"], kind, _date(signal["onset"]), _date(signal["time"])
            groups.setdefault(what, []).append({**signal, "column": column.removeprefix("features.")})
        else:
            over.setdefault((signal["version"], signal["monitor"]), []).append(str(signal["time"]))
    shown = f"the first {ALARMS_SHOWN} of {len(groups)}, all in --report" if len(groups) > ALARMS_SHOWN else "all"
    table = Table("version", "monitor", "kind", "onset", "said on", "over on", title=f"alarms: {shown}")
    table.title_justify, table.box = "left", None
    above = ""
    for (version, kind, onset, said), alarms in list(groups.items())[:ALARMS_SHOWN]:
        ends = {
            _date(next((t for t in over.get((version, a["monitor"]), ()) if t > str(a["time"])), None))
            for a in alarms
        }
        style = "bold red" if alarms[0]["column"] in ERRORS else ""
        columns = Text(", ".join(a["column"] for a in alarms), style=style)
        table.add_row("" if version == above else version, columns, kind, onset, said, " / ".join(sorted(ends)))
        above = version
    return table


def _date(time: str | None) -> str:
    """The day of a time in RFC 3339."""
    return "-" if time is None else f"{int(time[8:10])} {calendar.month_abbr[int(time[5:7])]}"


def _incidents(alerts: Sequence[Mapping[str, Any]]) -> Table:
    """What people were told: when an incident opened and when it was over."""
    ends = {alert["incident"]: alert["time"] for alert in alerts if alert["status"] == "resolved"}
    table = Table("cause", "opened", "over", "sentence", title="incidents", title_justify="left", box=None)
    for alert in alerts:
        if alert["status"] == "open":
            end = _date(ends.get(alert["incident"]))
            table.add_row(alert["cause"], _date(alert["opened"]), end, alert["sentence"])
    return table


def _show_retraining(console: Console, row: Mapping[str, Any]) -> None:
    """A request, and what became of it: what Driftline said, and what is known only here, where the old version is
    scored on the same flights."""
    table = Table("", "", title="retraining", title_justify="left", box=None)
    window = row["window"]
    table.add_row("requested", f"{row['requested']}: {row['reason']}")
    table.add_row("window", f"{window['from']} to {window['to']}. {window['why']}")
    table.add_row("deployed", f"{row['version']} on {row['deployed']}, in place of {row['replaces']}")
    table.add_row("Driftline says", row["verdict"] or "nothing yet")
    table.add_row("error before", f"{_share(row['error_before'])} from the onset to the request")
    table.add_row("error after", f"{_share(row['error_after'])} over {row['flights']:,} flights")
    table.add_row("error without", f"{_share(row['error_without'])} over the same flights")
    months = (
        f"{calendar.month_abbr[m['month']]} {_share(m['error_after'])} for {_share(m['error_without'])}"
        for m in row["by_month"]
    )
    table.add_row("by month", ", ".join(months))
    console.print(table)


def _performance(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What scores promised before outcomes were known, and what these showed."""
    table = Table(
        title="performance, estimated from scores alone and measured later", title_justify="left", box=None
    )
    for heading in ("version", "month", "predictions", "accuracy", "measured", "recall", "measured"):
        table.add_column(heading, justify="left" if heading in ("version", "month") else "right")
    above = ""
    for row in rows:
        figures = [
            _figure(row[when].get(metric), bar=when == "estimated")
            for metric in ("accuracy", "recall")
            for when in ("estimated", "measured")
        ]
        version = "" if row["version"] == above else row["version"]
        table.add_row(version, row["month"], f"{row['predictions']:,}", *figures)
        above = row["version"]
    return table


def _figure(figure: Mapping[str, float] | None, *, bar: bool) -> str:
    if figure is None:
        return "-"
    return f"{figure['value']:.1%}" + (f" ±{100 * figure['bar']:.0f}" if bar else "")


def _show_notifications(console: Console, sent: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """What people were told: each incident in a line, and the gravest as it went out, byte for byte."""
    titles = Counter(str(message["text"]).partition(". ")[0] for message in sent["slack"])
    table = Table("times", "title", title="sent to Slack", title_justify="left", box=None)
    for title, times in titles.items():
        table.add_row(str(times), title)
    console.print(table)
    chosen = gravest(sent["slack"], sent["pagerduty"])
    for name, payload in zip(("Slack", "PagerDuty"), chosen or (), strict=False):
        console.print(Text(f"the gravest, as {name} was sent it (all in --report)", style="italic"))
        console.print(Text(orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode()), soft_wrap=True)


def answer_of(row: Mapping[str, Any]) -> str:
    """Whether it helped, in a sentence."""
    if row["answer"] is None:
        return "Nobody can say whether retraining helped: nothing was deployed."
    difference = row["error_after"] - row["error_without"]
    how = {
        "helped": "It helped",
        "made no difference": "It made no difference",
        "made it worse": "It made it worse",
    }
    return (
        f"Did retraining help? {how[row['answer']]}: the error over the flights since is "
        f"{_share(row['error_after'])}, and would have been {_share(row['error_without'])} without "
        f"({100 * difference:+.1f} ±{100 * row['bar']:.1f} points)."
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
