"""The plot file: every monitor with its alarms, as one page without a network or as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from driftline.backtest.estimates import Estimates, estimates_of, readings_of
from driftline.backtest.panels import panels_of
from driftline.backtest.result import Result
from driftline.backtest.series import Series
from driftline.backtest.truth import Change
from driftline.errors import Misconfigured
from driftline.outputs import write_whole

PlotKind = Literal["html", "png"]
_KINDS: Final[dict[str, PlotKind]] = {".html": "html", ".htm": "html", ".png": "png"}


def plot_kind(path: Path) -> PlotKind:
    """By the file's name; Misconfigured for any other, and where what draws it is not installed."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise Misconfigured(f"--plot {path}: the name must end in .html or .png")
    if kind == "png":
        try:
            import matplotlib  # noqa: F401 - whether it is there
        except ImportError:
            raise Misconfigured(
                f"--plot {path}: a .png needs matplotlib: pip install 'driftline[backtest]'; an .html needs nothing"
            ) from None
    return kind


def write_estimates(path: Path, kind: PlotKind, title: str, estimates: Sequence[Estimates]) -> None:
    """Performance alone. `title` is plain text."""
    if kind == "html":
        from driftline.backtest.html import document, estimates_section

        several = len({(one.model, one.version) for one in estimates}) > 1
        parts = estimates_section(estimates, several=several)
        write_whole(path, document(title, "" if parts else "Nothing to show yet.", parts).encode())
    else:
        from driftline.backtest.png import estimates_picture

        write_whole(path, estimates_picture(estimates))


def write_plot(path: Path, kind: PlotKind, result: Result, series: Series, changes: Sequence[Change]) -> None:
    panels = panels_of(result, series, changes)
    estimates = estimates_of(readings_of(series, result.profiles))
    if kind == "html":
        from driftline.backtest.html import page

        write_whole(path, page(result, panels, estimates).encode())
    else:
        from driftline.backtest.png import picture

        write_whole(path, picture(result, panels, estimates))
