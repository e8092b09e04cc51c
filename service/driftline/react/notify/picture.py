"""A small picture of what moved: the distribution then and now, or a number with its error bar beside the reference's.

PNG of 640 x 320 pixels, 40 kB at the most. Drawn by matplotlib (extra `pictures`) without its global state, in a
thread, one at a time; without matplotlib there are no pictures.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from driftline.contracts.records import Effect, Shape
from driftline.react.notify.message import Message
from driftline.react.notify.text import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[[Message], Awaitable[bytes | None]]

WIDTH_IN: Final = 6.4
HEIGHT_IN: Final = 3.2
DPI: Final = 100
THEN: Final = "#9aa5b1"
NOW: Final = "#d1495b"
LABEL: Final = 14
MOST: Final = 1e100
"""Numbers beyond it have no axis."""
_LOCK: Final = threading.Lock()


async def drawn(message: Message) -> bytes | None:
    """The picture, beside the event loop. None where there is nothing to draw, nothing to draw with, or where it
    cannot be drawn: no message waits for its picture."""
    effect = message.effect
    if effect is None or not available() or not _drawable(effect):
        return None
    try:
        return await asyncio.to_thread(draw, message.subject, effect)
    except (ValueError, TypeError, ArithmeticError, RuntimeError, OSError):
        return None


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _drawable(effect: Effect) -> bool:
    now = effect.current
    numbers = (now.value, now.low, now.high, effect.reference)
    return bool(effect.shape and effect.shape.labels) or all(abs(x) < MOST for x in numbers)


def draw(subject: str, effect: Effect) -> bytes:
    """Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _LOCK:  # fonts are shared between figures
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        if effect.shape is not None and effect.shape.labels:
            _distribution(axes, effect.shape)
            what = "then and now"
        else:
            _number(axes, effect)
            what = effect.witness
        title = ": ".join(part for part in (subject, what) if part)
        axes.set_title(printed(title, 60), fontsize=10, loc="left", parse_math=False, pad=22)
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 0.985))
        axes.spines[["top", "right"]].set_visible(False)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def printed(text: str, most: int) -> str:
    """What the font has glyphs for; anything else is a question mark."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(ch if font.get_char_index(ord(ch)) else "?" for ch in line(text, most))


def _distribution(axes: Axes, shape: Shape) -> None:
    n = len(shape.labels)
    width = 0.42
    places = range(n)
    axes.bar([x - width / 2 for x in places], _percent(shape.reference), width, color=THEN, label="reference")
    axes.bar([x + width / 2 for x in places], _percent(shape.current), width, color=NOW, label="since the change")
    axes.set_ylabel("% of values", fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    labels = [printed(label, LABEL) for label in shape.labels]
    axes.set_xticks(list(places), labels, fontsize=7, rotation=45, ha="right", rotation_mode="anchor")
    for text in axes.get_xticklabels():
        text.set_parse_math(False)


def _number(axes: Axes, effect: Effect) -> None:
    now = effect.current
    scale = 100.0 if now.unit == "share" else 1.0
    value, low, high, then = (scale * x for x in (now.value, now.low, now.high, effect.reference))
    axes.axvline(then, color=THEN, linewidth=2, label="reference")
    bar = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
    axes.errorbar(
        [value], [0.0], xerr=bar, fmt="o", color=NOW, capsize=4, label="since the change, ± 2 standard errors"
    )
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-1.0, 1.0)
    axes.margins(x=0.3)
    axes.tick_params(axis="x", labelsize=8)
    if now.unit == "share":
        axes.set_xlabel("%", fontsize=8)


def _percent(shares: list[float]) -> list[float]:
    return [100.0 * share for share in shares]
