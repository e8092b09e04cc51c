"""What the bench is to reach, and whether a run did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rich.table import Table


class Goal(NamedTuple):
    """`figure` is at most `bound`, or at least, if `low`."""

    figure: str
    bound: float
    low: bool = False

    def reached(self, value: float) -> bool:
        return value >= self.bound if self.low else value <= self.bound


GOALS: Final = (
    Goal("ingest_cpu_s_per_million", 8.0),
    Goal("share_of_ceiling", 0.5, low=True),
    Goal("ingest_join_cpu_s_per_million", 10.0),
    Goal("ingest_pairs_cpu_s_per_million", 10.0),
    Goal("faust_over_ingest", 10.0, low=True),
    Goal("models_1000_over_1", 1.5),
    Goal("block_bytes_per_event_1000_models", 200.0),
    Goal("signal_beyond_pane_p99_s", 2.0),
)


def verdicts(figures: Mapping[str, float]) -> Iterator[tuple[Goal, float, bool]]:
    """Every goal that this run speaks of, what was found, and whether it is reached."""
    for goal in GOALS:
        if goal.figure in figures:
            value = figures[goal.figure]
            yield goal, value, goal.reached(value)


def goals_table(figures: Mapping[str, float]) -> Table:
    table = Table("goal", title="goals")
    table.add_column("", justify="right")
    table.add_column("found", justify="right")
    table.add_column("")
    for goal, value, reached in verdicts(figures):
        bound = f"at {'least' if goal.low else 'most'} {goal.bound:g}"
        table.add_row(goal.figure, bound, f"{value:.2f}", "reached" if reached else "missed")
    return table
