"""The axes of a plotted figure, as SVG: time to the right, a value upwards, and what is read off under the pointer."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.backtest.report import short

Floats = npt.NDArray[np.float64]

WIDTH: Final = 960
HEIGHT: Final = 190
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 24
PLOT_W: Final = WIDTH - LEFT - RIGHT
PLOT_H: Final = HEIGHT - TOP - BOTTOM
DAY_MS: Final = 86_400_000
MOMENTS: Final = 7


def roomy(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest, and some room beyond."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low or abs(high) or 1.0)
    return low - room, high + room


def shown_share(value: float) -> str:
    return f"{100.0 * value:.4g} %"


@dataclass(frozen=True)
class Axes:
    """`span`: times (ms) of the left and the right end; `low`, `high`: values of the lower and the upper; `shown`: how
    a value is written."""

    span: tuple[float, float]
    low: float
    high: float
    shown: Callable[[float], str]

    def x(self, time: float) -> float:
        begin, end = self.span
        return LEFT + PLOT_W * (min(max(time, begin), end) - begin) / (end - begin)

    def y(self, value: float) -> float:
        return TOP + PLOT_H * (1.0 - (value - self.low) / (self.high - self.low))

    def box(self, kind: str, begin: float, end: float) -> str:
        width = max(self.x(end) - self.x(begin), 1.0)
        return f"<rect class={kind} x={self.x(begin):.1f} y={TOP} width={width:.1f} height={PLOT_H} />"

    def rule(self, kind: str, time: float, title: str) -> str:
        at = f"{self.x(time):.1f}"
        words = f"<title>{html.escape(title)}</title>"
        return f"<line class={kind} x1={at} x2={at} y1={TOP} y2={TOP + PLOT_H}>{words}</line>"

    def line(self, times: Floats, values: Floats) -> str:
        """Broken where a value is none."""
        parts, pen = [], "M"
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            if not math.isfinite(value):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x(time):.1f} {self.y(value):.1f}")
            pen = "L"
        return f"<path class=line d='{''.join(parts)}' />"

    def band(self, times: Floats, low: Floats, high: Floats) -> list[str]:
        """Between two lines; broken where a value is none."""
        known = np.isfinite(low) & np.isfinite(high)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], known.astype(np.int8), [0]))))
        parts = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            there = [
                f"{self.x(t):.1f} {self.y(v):.1f}" for t, v in zip(times[begin:end], high[begin:end], strict=True)
            ]
            back = [
                f"{self.x(t):.1f} {self.y(v):.1f}" for t, v in zip(times[begin:end], low[begin:end], strict=True)
            ]
            parts.append(f"<path class=band d='M{'L'.join([*there, *reversed(back)])}Z' />")
        return parts

    def dot(self, kind: str, time: float, value: float, title: str) -> str:
        place = f"cx={self.x(time):.1f} cy={self.y(value):.1f}"
        return f"<circle class={kind} {place} r=3.2><title>{html.escape(title)}</title></circle>"

    def levels(self) -> list[str]:
        """Rules at three to six round values."""
        rough = (self.high - self.low) / 4
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= rough)
        parts = []
        for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            at = f"{self.y(k * step):.1f}"
            parts.append(f"<line class=grid x1={LEFT} x2={LEFT + PLOT_W} y1={at} y2={at} />")
            parts.append(f"<text class=ylab x={LEFT - 6} y={at} dy=3>{self.shown(k * step)}</text>")
        return parts

    def moments(self) -> list[str]:
        """Six to eight moments at even distances, as dates; as hours too where they are close."""
        gap = (self.span[1] - self.span[0]) / MOMENTS
        days = gap >= DAY_MS
        parts = []
        for k in range(MOMENTS):
            time = self.span[0] + gap * (k + 0.5)
            if days:
                time = round(time / DAY_MS) * DAY_MS
            text = short(int(time))
            label = text[:10] if days else text[5:]
            parts.append(f"<text class=xlab x={self.x(time):.1f} y={HEIGHT - 8}>{label}</text>")
        return parts

    def svg(self, parts: Sequence[str], times: Floats, said: Sequence[str]) -> str:
        """The figure of these parts. `said`: what the pointer reads at each of the times."""
        points = [
            (round(self.x(t), 1), short(int(t)), words) for t, words in zip(times.tolist(), said, strict=True)
        ]
        data = html.escape(msgspec.json.encode(points).decode(), quote=True)
        return (
            f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img data-points=\"{data}\">{''.join(parts)}"
            f"<line class=cross y1={TOP} y2={TOP + PLOT_H} /><text class=read y={TOP + 12}></text></svg>"
        )
