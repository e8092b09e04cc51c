"""The dashboard, as code: `python deploy/grafana/dashboard.py` writes dashboards/driftline.json, `--check` compares.

What people look at first is on top: which model is in trouble. Then whether events flow, whether people are told, and
how the servers do. Every query is run against a real Prometheus in tests/deploy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parent / "dashboards" / "driftline.json"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24
Json = dict[str, Any]

GREEN, ORANGE, RED = "green", "orange", "red"
SEVERITIES: Final = {"critical": "dark-red", "error": RED, "warning": ORANGE, "info": "blue"}


def query(expr: str, legend: str = "", *, table: bool = False) -> Json:
    """One line of a panel. A table asks for the present value only."""
    shape = {"format": "table", "instant": True} if table else {"format": "time_series", "range": True}
    return {"expr": expr, "legendFormat": legend or "__auto", "datasource": SOURCE, **shape}


def panel(
    kind: str,
    title: str,
    queries: Iterable[Json],
    *,
    width: int,
    height: int = 8,
    unit: str = "short",
    help: str = "",
    limits: tuple[tuple[float, str], ...] = (),
    options: Json | None = None,
    overrides: Iterable[Json] = (),
    stacked: bool = False,
) -> Json:
    """A panel without its place. `limits`: from which value on it has which colour."""
    steps = [{"value": None, "color": GREEN}, *({"value": value, "color": color} for value, color in limits)]
    custom: Json = {}
    if kind == "timeseries":
        custom = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if stacked else "none"}}
    return {
        "type": kind,
        "title": title,
        "description": help,
        "datasource": SOURCE,
        "targets": [{**one, "refId": chr(ord("A") + at)} for at, one in enumerate(queries)],
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": custom,
                "noValue": "-",
            },
            "overrides": list(overrides),
        },
        "options": options or {},
        "gridPos": {"w": width, "h": height},
    }


def stat(
    title: str, expr: str, help: str, *, limits: tuple[tuple[float, str], ...] = (), unit: str = "short"
) -> Json:
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "none"}
    return panel(
        "stat", title, [query(expr)], width=4, height=4, unit=unit, help=help, limits=limits, options=options
    )


def graph(title: str, *queries: Json, width: int = 8, help: str = "", **more: Any) -> Json:
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, queries, width=width, help=help, options=options, **more)


def by_severity() -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for name, color in SEVERITIES.items()
    ]


def models() -> list[Json]:
    renamed = {"model": "model", "cause": "cause", "severity": "severity", "Value": "incidents"}
    table = panel(
        "table",
        "Models with open incidents",
        [query("sort_desc(sum by (model, cause, severity) (driftline_incidents_open))", table=True)],
        width=12,
        help="`driftline incidents list` says what moved, since when, and what is advised. `other`: beyond the cap.",
    )
    table["transformations"] = [
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": renamed}}
    ]
    return [
        stat(
            "Open incidents",
            "sum(driftline_incidents_open) or vector(0)",
            "Of all models, from the react that is active.",
            limits=((1, ORANGE),),
        ),
        stat(
            "Critical",
            'sum(driftline_incidents_open{severity="critical"}) or vector(0)',
            "Open incidents of the gravest kind.",
            limits=((1, RED),),
        ),
        stat(
            "Models watched",
            'sum(max by (partition) (driftline_models{state="watched"})) or vector(0)',
            "Model versions with a reference.",
        ),
        stat(
            "Models learning",
            'sum(max by (partition) (driftline_models{state="learning"})) or vector(0)',
            "Model versions that have no reference yet: they do not alarm.",
        ),
        stat(
            "React active",
            "sum(driftline_react_active) or vector(0)",
            "One decides, the others stand by.",
        ),
        stat(
            "Notifications waiting",
            "sum(driftline_notifications_pending) or vector(0)",
            "Above 0 for minutes: a receiver is away.",
            limits=((1, ORANGE), (100, RED)),
        ),
        table,
        graph(
            "Open incidents",
            query("sum by (severity) (driftline_incidents_open)", "{{severity}}"),
            width=12,
            overrides=by_severity(),
            stacked=True,
        ),
        graph(
            "Signals an hour",
            query("sum by (state) (increase(driftline_signals_total[1h]))", "{{state}}"),
            help="What judge says: verdicts that changed.",
        ),
        graph(
            "Alerts an hour",
            query("sum by (cause, status) (increase(driftline_alerts_total[1h])) > 0", "{{cause}} {{status}}"),
            help="What react makes of them.",
        ),
        graph(
            "Retraining requests a day",
            query("sum by (rule) (increase(driftline_retraining_requests_total[1d]))", "{{rule}}"),
        ),
    ]


def flow() -> list[Json]:
    return [
        graph("Records", query("driftline:records:rate5m", "{{stage}}"), unit="cps", help="Folded and written."),
        graph(
            "Lag",
            query("driftline:lag_records:sum", "{{stage}}"),
            help="Records not folded yet. Growing: more workers, or more partitions.",
        ),
        graph(
            "Event time behind now",
            query("time() - min(driftline_watermark_timestamp_seconds)", "oldest partition"),
            query("time() - max(driftline_watermark_timestamp_seconds)", "newest partition"),
            unit="s",
            help="Verdicts wait for the oldest. Of a replay of old events it says how old they are.",
        ),
        graph(
            "Refused, by reason",
            query("sum by (reason) (rate(driftline_refused_total[5m])) > 0", "{{reason}}"),
            unit="cps",
            help="`driftline deadletter list` shows them.",
        ),
        graph(
            "Outcomes",
            query("sum by (met) (rate(driftline_join_total[5m]))", "{{met}}"),
            unit="cps",
            help="Paired with their prediction, or waiting for it.",
        ),
        graph(
            "Late, duplicate, not admitted",
            query("sum(rate(driftline_late_events_total[5m]))", "late"),
            query("sum by (what) (rate(driftline_duplicates_total[5m]))", "duplicate {{what}}s"),
            query("sum(rate(driftline_not_admitted_total[5m]))", "not admitted"),
            unit="cps",
        ),
        graph(
            "Batch, 99 %",
            query("driftline:batch_seconds:p99", "{{stage}}"),
            unit="s",
            help="From a batch in hand to its state written and output acknowledged.",
        ),
        graph("Panes judged", query("sum(rate(driftline_panes_total[5m]))", "panes"), unit="cps"),
        graph(
            "References' self-check",
            query("min(driftline_selfcheck_ratio > 0)", "lowest"),
            help="Below 1: a reference gave more false alarms on its own panes than the budget allows.",
        ),
    ]


def told() -> list[Json]:
    return [
        graph(
            "Notifications an hour",
            query(
                "sum by (receiver, outcome) (increase(driftline_notifications_total[1h]))",
                "{{receiver}} {{outcome}}",
            ),
            width=12,
        ),
        graph(
            "Notifications waiting",
            query("sum by (receiver) (driftline_notifications_pending)", "{{receiver}}"),
            width=12,
        ),
    ]


def servers() -> list[Json]:
    return [
        graph(
            "Repeated calls",
            query("sum by (stage, what) (rate(driftline_retries_total[5m])) > 0", "{{stage}} {{what}}"),
            unit="cps",
            help="The broker or the store is away or slow. Nothing is lost; lag grows.",
        ),
        graph(
            "Writes of state",
            query("sum by (verdict) (rate(driftline_commits_total[5m]))", "{{verdict}}"),
            unit="cps",
            help="`moved`, `lost`: the store went back in time. `fenced`: normal in a rebalance.",
        ),
        graph(
            "Partitions",
            query("sum by (stage) (driftline_partitions_owned)", "{{stage}} owned"),
            query("sum by (stage) (driftline_paused)", "{{stage}} paused"),
        ),
        graph(
            "CPU",
            query('rate(process_cpu_seconds_total{job="driftline"}[5m])', "{{instance}}"),
            unit="percentunit",
            width=12,
        ),
        graph(
            "Memory",
            query('process_resident_memory_bytes{job="driftline"}', "{{instance}}"),
            unit="bytes",
            width=12,
        ),
    ]


ROWS: Final = (("Models", models), ("Events", flow), ("People", told), ("Servers and processes", servers))


def dashboard() -> Json:
    """Panels from left to right, a new line where one is full."""
    panels: list[Json] = []
    y = 0
    for title, made in ROWS:
        row = {"type": "row", "title": title, "collapsed": False, "panels": []}
        panels.append({**row, "gridPos": place(0, y, WIDTH, 1)})
        y += 1
        x = line = 0
        for one in made():
            width, height = one["gridPos"]["w"], one["gridPos"]["h"]
            if x + width > WIDTH:
                x, y, line = 0, y + line, 0
            panels.append({**one, "gridPos": place(x, y, width, height)})
            x, line = x + width, max(line, height)
        y += line
    return {
        "uid": "driftline",
        "title": "Driftline",
        "description": "Generated by deploy/grafana/dashboard.py.",
        "tags": ["driftline"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "annotations": {
            "list": [
                {
                    "name": "Alerts about Driftline",
                    "enable": True,
                    "iconColor": RED,
                    "datasource": SOURCE,
                    "expr": 'ALERTS{alertname=~"Driftline.+",alertstate="firing"}',
                    "titleFormat": "{{alertname}}",
                    "textFormat": "{{stage}}",
                }
            ]
        },
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [{**one, "id": at + 1} for at, one in enumerate(panels)],
    }


def place(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def text() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        if FILE.is_file() and FILE.read_text(encoding="utf-8") == text():
            return 0
        print(f"not current: {FILE}; run `python deploy/grafana/dashboard.py`", file=sys.stderr)
        return 1
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
