"""The audit of `blocks`: what the log itself says was counted, added up without any of the pipeline's code.

Bundles are read as plain MessagePack. A range counts once per `blocks` partition; the ranges of a source must
follow each other without gap or overlap in every partition; what the tallies say must be what the blocks hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from driftline.runtime.log import LogReader

MAX_PROBLEMS: Final = 20
TALLY: Final = (
    "predictions",
    "outcomes_joined",
    "outcomes_waiting",
    "duplicate_predictions",
    "duplicate_outcomes",
    "before_reference",
)
"""The counts of a tally, in the order in which they stand after model and version."""
_TIMES_OF_RAW, _ROWS_OF_BINNED = 4, 6
"""Where a raw block has its times and a binned one its number of rows; 0 is the tag, 3 the stream."""
_INT64_BYTES: Final = 8


@dataclass
class LedgerFigures:
    """Sums over all ranges. By source, `ends` is where the ledger stands and `watermarks` the event time, ms, up to
    which it may be judged. `problems` is empty if the ledger is sound."""

    tallies: Counter[str] = field(default_factory=Counter)
    by_version: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """The tallies by version of the model; "" for outcomes that have met no prediction."""
    refused: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    """Rows in blocks, by stream."""
    records: int = 0
    repeated_bundles: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def predictions_counted(self) -> int:
        return self.tallies["predictions"]

    @property
    def duplicates(self) -> int:
        return self.tallies["duplicate_predictions"] + self.tallies["duplicate_outcomes"]

    @property
    def joined(self) -> int:
        return self.tallies["outcomes_joined"]

    @property
    def outcomes_received(self) -> int:
        """Outcomes that were taken, with or without a partner: all records that were nothing else."""
        return self.records - self.refused.total() - self.predictions_counted - self.duplicates

    @property
    def judged_until(self) -> int:
        """Event time, ms, up to which all sources have been read; 0 without any."""
        return max(0, min(self.watermarks.values(), default=0))

    def doubt(self, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


async def audit_blocks(reader: LogReader, topic: str) -> LedgerFigures:
    """Reads the whole topic."""
    figures = LedgerFigures()
    ends: list[dict[int, int]] = []
    for partition, bounds in sorted((await reader.bounds(topic)).items()):
        records = await reader.read(topic, partition, bounds.begin, bounds.end)
        values = [(r.offset, r.value) for r in records if r.value is not None]
        ends.append(_audit_partition(f"{topic}/{partition}", values, figures))
    for source in sorted({source for of_partition in ends for source in of_partition}):
        stands = {of_partition.get(source, 0) for of_partition in ends}
        figures.ends[source] = max(stands)
        if len(stands) > 1:
            figures.doubt(f"source {source} ends at {sorted(stands)}, depending on the partition of {topic}")
    rows = figures.rows["predictions"] + figures.tallies["before_reference"]
    if rows != figures.predictions_counted:
        figures.doubt(f"{figures.predictions_counted} predictions in tallies, {rows} in blocks")
    if figures.rows["pairs"] != figures.joined:
        figures.doubt(f"{figures.joined} pairs in tallies, {figures.rows['pairs']} in blocks")
    return figures


def _audit_partition(where: str, values: Iterable[tuple[int, bytes]], figures: LedgerFigures) -> dict[int, int]:
    """Adds up one partition; returns where each source stands in it."""
    ends: dict[int, int] = {}
    seen: set[tuple[int, int, int]] = set()
    for offset, value in values:
        bundle: dict[str, Any] = msgspec.msgpack.decode(value)
        source, first, after = bundle["source"], bundle["first"], bundle["next"]
        if (source, first, after) in seen and first < after:
            figures.repeated_bundles += 1
            continue
        seen.add((source, first, after))
        stands = ends.get(source, 0)
        if first != stands:
            figures.doubt(f"{where}, offset {offset}: source {source} goes from {stands} on to {first}-{after}")
        ends[source] = after
        figures.watermarks[source] = max(bundle["watermark"], figures.watermarks.get(source, bundle["watermark"]))
        _add(bundle, figures)
    return ends


def _add(bundle: dict[str, Any], figures: LedgerFigures) -> None:
    for _, version, *counts, _ in bundle["tallies"]:
        tally = dict(zip(TALLY, counts, strict=True))
        figures.tallies.update(tally)
        figures.by_version[version].update(tally)
    for block in bundle["blocks"]:
        raw = block[0] == "raw"
        n = len(block[_TIMES_OF_RAW]) // _INT64_BYTES if raw else block[_ROWS_OF_BINNED]
        figures.rows[block[3]] += n
    for records, refused in bundle["windows"].values():
        figures.records += records
        figures.refused.update(refused)
