"""`make bench`: what an event costs, beside what it would cost otherwise; and how long a verdict takes.

One broker and one store of our own, each measurement in a process of its own, warmed up, every row once a round:
compare the ratios, which are medians over rounds, rather than the seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson
from rich.console import Console

from bench.latency import measure_latency
from bench.plan import measure
from bench.report import record, show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer events, one round: about a minute and a half")
    parser.add_argument("--events", type=int, help="events counted for each row (200,000; with --quick 40,000)")
    parser.add_argument("--rounds", type=int, help="rounds (3; with --quick 1)")
    parser.add_argument(
        "--latency-s", type=float, help="length of the run in real time (90; with --quick 50; 0: none)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    wanted = parser.parse_args()
    events = wanted.events or (40_000 if wanted.quick else 200_000)
    rounds = wanted.rounds or (1 if wanted.quick else 3)
    seconds = (50.0 if wanted.quick else 90.0) if wanted.latency_s is None else wanted.latency_s
    console = Console(width=120)
    with console.status("starting") as status:
        latency = None
        if seconds:
            status.update("event to signal, in real time")
            latency = measure_latency(seconds)
        found = measure(events, rounds, status.update)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    text = orjson.dumps(record(found, latency, events, rounds), default=_plain, option=orjson.OPT_INDENT_2)
    wanted.out.write_bytes(text + b"\n")
    show(console, found, latency, rounds)


def _plain(value: object) -> object:
    return {name: getattr(value, name) for name in value.__struct_fields__}  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
