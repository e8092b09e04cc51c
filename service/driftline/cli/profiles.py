"""References as people read them: tables of one, of the history of many, of two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from driftline.errors import Misconfigured
from driftline.registry import ModelKey, Standing
from driftline.stats.compare import ColumnComparison
from driftline.stats.profile import Profile
from driftline.terminal import printable


def shown_time(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def picked(profiles: Sequence[Profile], revision: int | None, id_: str | None, whose: str) -> Profile:
    """The last profile of this revision, or the one whose id begins so; else the last. Misconfigured where there is
    none, or more than one."""
    found = [
        p
        for p in profiles
        if (revision is None or p.revision == revision) and (id_ is None or p.id.startswith(id_))
    ]
    wanted = f"revision {revision}" if revision is not None else f"id {id_!r}" if id_ is not None else "reference"
    if not found:
        known = ", ".join(f"{p.revision} ({p.id[:8]})" for p in profiles[-20:]) or "none"
        raise Misconfigured(f"there is no {wanted} of {whose}; there is {known}. See `driftline reference list`")
    if id_ is not None and len({p.id for p in found}) > 1:
        raise Misconfigured(f"{len(found)} references begin with {id_!r}: give more of the id")
    return found[-1]


def line_of(profile: Profile, standing: Standing | None) -> dict[str, Any]:
    """What programs read of a reference."""
    return {
        "model": profile.model,
        "version": profile.version,
        "revision": profile.revision,
        "id": profile.id,
        "source": profile.source,
        "pinned": profile.pinned,
        "provisional": profile.provisional,
        "parent": profile.parent or None,
        "judged_from": profile.judged_from,
        "state": None if standing is None else state_of(profile, standing),
        "pane_ms": profile.pane_ms,
        "streams": {
            section.stream: {
                "n": section.n,
                "panes": section.panes,
                "from": section.start,
                "to": section.end,
                "grid": section.grid.id,
                "columns": len(section.monitored),
                "why_not": section.why_not or None,
            }
            for section in (profile.predictions, profile.pairs)
            if section is not None
        },
    }


def state_of(profile: Profile, standing: Standing) -> str:
    """in force (for the newest events), replaced (for a time that is past), hidden, or reset."""
    if profile.revision <= standing.void:
        return "reset"
    spans = standing.epochs
    if spans and profile.id == spans[-1].id:
        return "in force"
    return "replaced" if any(profile.id == p.id for p in spans) else "hidden"


def table_of_profile(profile: Profile) -> Table:
    title = f"{printable(profile.model)} {printable(profile.version)}"
    table = Table("of", "column", "kind", "values", "pages", title=title)
    for stream, section in (("predictions", profile.predictions), ("pairs", profile.pairs)):
        for column in section.monitored if section is not None else ():
            pages = column.why_not or "yes"
            table.add_row(stream, printable(column.name), column.kind, f"{column.rows:,}", pages)
    return table


def table_of_history(standings: Mapping[ModelKey, Standing]) -> Table:
    table = Table("model", "version", "revision", "id", "source", "predictions", "pairs", "from", "state")
    for (model, version), standing in standings.items():
        for p in standing.profiles:
            table.add_row(
                printable(model),
                printable(version),
                str(p.revision),
                p.id[:8],
                p.source + (", provisional" if p.provisional else ""),
                f"{p.predictions.n:,}",
                f"{p.pairs.n:,}" if p.pairs is not None else "-",
                shown_time(p.judged_from) if p.judged_from else "the first event",
                state_of(p, standing),
            )
    return table


def table_of_comparison(a: Profile, b: Profile, lines: Sequence[ColumnComparison]) -> Table:
    names = [f"{printable(p.model)} {printable(p.version)} revision {p.revision}" for p in (a, b)]
    table = Table("column", "PSI", "KS", "JS", "Wasserstein (SD)", "values", "smallest shift", "note")
    table.title = f"A: {names[0]}   B: {names[1]}"
    grids = "the same bins" if a.predictions.grid.id == b.predictions.grid.id else "other bins"
    table.caption = "; ".join(
        f"{name}: {p.predictions.n:,} predictions of {shown_time(p.predictions.start)} to "
        f"{shown_time(p.predictions.end)}, panes of {p.pane_ms / 1000:g} s"
        for name, p in (("A", a), ("B", b))
    )
    table.caption += f"; {grids}"
    for line in lines:
        d = line.distances
        notes: list[str] = [] if line.verdict == "both" else [line.verdict]
        notes += [] if line.exact else ["B's bins laid on A's"]
        table.add_row(
            printable(line.column),
            *(_number(x) for x in ((d.psi, d.ks, d.js, d.wasserstein_sd) if d else (None,) * 4)),
            f"{line.rows_a:,} / {line.rows_b:,}",
            f"{_number(line.smallest_a)} / {_number(line.smallest_b)}",
            "; ".join(notes),
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
