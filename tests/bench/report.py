"""What a run found, for people and for the record."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bench.goals import goals_table, verdicts
from bench.job import Cost
from bench.latency import Latency
from bench.plan import ROWS, Measured
from driftline.runtime.embedded import broker_binary, store_binary

_PACKAGES: Final = ("aiokafka", "faust-streaming", "hiredis", "msgspec", "numpy", "orjson", "redis", "river")


def rate(cost: Cost) -> float:
    return cost.events / cost.wall_s


def per_million(seconds: float, cost: Cost) -> float:
    return seconds / cost.events * 1e6


def block_bytes(cost: Cost) -> float:
    return cost.block_bytes / cost.events


def figures(found: Measured, latency: Latency | None) -> dict[str, float]:
    """Times in CPU seconds of the client per million events, unless the name says otherwise."""
    named = {
        "ingest_cpu_s_per_million": found.middle("ingest", lambda c: c.cpu),
        "ingest_join_cpu_s_per_million": found.middle("ingest_join", lambda c: c.cpu),
        "ingest_pairs_cpu_s_per_million": found.middle("ingest_pairs", lambda c: c.cpu),
        "bare_cpu_s_per_million": found.middle("bare", lambda c: c.cpu),
        "ceiling_cpu_s_per_million": found.middle("ceiling", lambda c: c.cpu),
        "consume_cpu_s_per_million": found.middle("consume", lambda c: c.cpu),
        "faust_cpu_s_per_million": found.middle("faust", lambda c: c.cpu),
        "wide_cpu_s_per_million": found.middle("wide", lambda c: c.cpu),
        "share_of_ceiling": found.ratio("ceiling", "ingest"),
        "faust_over_ingest": found.ratio("faust", "ingest"),
        "models_1000_over_1": found.ratio("many", "ingest"),
        "features_200_over_20": found.ratio("wide", "ingest"),
        "block_bytes_per_event_1000_models": found.middle("many", block_bytes),
        "resident_mb_1000_models": found.middle("many", lambda c: c.resident_mb),
        "resident_mb_1_model": found.middle("ingest", lambda c: c.resident_mb),
    }
    if latency is not None:
        named |= {
            "signal_beyond_pane_p50_s": latency.p50_s,
            "signal_beyond_pane_p99_s": latency.p99_s,
            "signal_received_p99_s": latency.received_p99_s,
            "block_bytes_per_event_live": latency.block_bytes,
        }
    return {name: round(value, 3) for name, value in named.items()}


def record(found: Measured, latency: Latency | None, events: int, rounds: int) -> dict[str, Any]:
    return {
        **figures(found, latency),
        "goals_reached": {goal.figure: reached for goal, _, reached in verdicts(figures(found, latency))},
        "events": events,
        "rounds": rounds,
        "event_bytes": found.sizes,
        "costs": found.costs,
        "latency": latency,
        "versions": versions(),
        "machine": machine(),
    }


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "broker": _says(broker_binary()),
        "store": _says(store_binary()),
        **{name: version(name) for name in _PACKAGES},
    }


def _says(binary: str) -> str:
    """What a server says of its version."""
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, str | int | float]:
    model = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def show(console: Console, found: Measured, latency: Latency | None, rounds: int) -> None:
    console.print(Group(_costs(found, rounds), goals_table(figures(found, latency)), _rest(found, latency)))


def _costs(found: Measured, rounds: int) -> Table:
    table = Table("CPU s per million events", title=f"median of {rounds}, events of 20 features")
    for name in ("client", "store", "broker", "of ceiling", "x ingest", "events/s", "B/event", "MB"):
        table.add_column(name, justify="right")
    for row in ROWS:
        wide = row.workload == "wide"
        table.add_row(
            row.what,
            f"{found.middle(row.name, lambda c: c.cpu):.1f}",
            f"{found.middle(row.name, lambda c: per_million(c.store_s, c)):.1f}",
            f"{found.middle(row.name, lambda c: per_million(c.broker_s, c)):.1f}",
            f"{found.ratio('wide_ceiling' if wide else 'ceiling', row.name):.2f}",
            f"{found.ratio(row.name, 'ingest'):.2f}",
            f"{found.middle(row.name, rate):,.0f}",
            f"{found.sizes[row.workload]:,.0f}",
            f"{found.middle(row.name, lambda c: c.peak_mb):,.0f}",
        )
    return table


def _rest(found: Measured, latency: Latency | None) -> Text:
    lines = [
        f"Blocks: {found.middle('ingest', block_bytes):.1f} bytes an event with 1 model, "
        f"{found.middle('many', block_bytes):.1f} with 1,000, "
        f"{found.middle('wide', block_bytes):.1f} with 200 features.",
    ]
    if latency is not None:
        lines += [
            f"Event to signal, beyond pane + lateness: p50 {latency.p50_s:.2f} s, p99 {latency.p99_s:.2f} s; "
            f"in a subscriber's hands p50 {latency.received_p50_s:.2f} s, p99 {latency.received_p99_s:.2f} s "
            f"({latency.signals} alarms of {latency.panes} panes, {latency.events_per_s:,.0f} events/s).",
            f"Live: {latency.block_bytes:.0f} bytes of blocks an event; "
            f"ingest holds {latency.ingest_mb:.0f} MB, judge {latency.judge_mb:.0f} MB.",
        ]
    lines.append(", ".join(f"{name} {text}" for name, text in {**versions(), **machine()}.items()))
    return Text("\n".join(lines))
