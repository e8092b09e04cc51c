"""Pictures: drawn of whatever there is, small, and of nothing else than what the message may say."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings

from driftline.contracts.records import Effect, Estimate, Shape
from driftline.react.notify.message import message_of
from driftline.react.notify.picture import available, draw, drawn, printed
from react.notify.making import EFFECT, EFFECTS, NASTY, TEXT, told

MOST_BYTES = 40_000
RATE = Effect(witness="error rate", reference=0.1, current=Estimate(value=0.21, low=0.19, high=0.23, unit="share"))

pytestmark = pytest.mark.skipif(not available(), reason="matplotlib is not installed")


def looked_at(png: bytes) -> None:
    assert png.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", png[16:24]) == (640, 320)
    assert len(png) <= MOST_BYTES
    assert b"matplotlib" not in png.lower()


@pytest.mark.parametrize("effect", [EFFECT, RATE])
def test_a_picture_is_small(effect: Effect) -> None:
    looked_at(draw("features.amount", effect))


@given(TEXT, EFFECTS)
@settings(max_examples=15, deadline=None)
async def test_a_picture_is_drawn_of_whatever_there_is(subject: str, effect: Effect) -> None:
    message = replace(message_of(told()), subject=subject, effect=effect)
    png = await drawn(message)
    if png is not None:
        looked_at(png)
    else:
        assert effect.shape is None or not effect.shape.labels


def test_formulas_are_names() -> None:
    """Mutation: `parse_math` as it is by default in `picture`; matplotlib raises over `$\\frac{1$`."""
    label = "$\\frac{1$"
    named = msgspec.structs.replace(
        EFFECT, witness=label, shape=Shape(labels=[label], reference=[1.0], current=[1.0])
    )
    looked_at(draw(label, named))
    looked_at(draw(label, msgspec.structs.replace(RATE, witness=label)))


@pytest.mark.parametrize("name", NASTY)
def test_only_what_the_font_has_is_printed(name: str) -> None:
    assert len(printed(name, 40)) <= 40
    assert "\n" not in printed(name, 40)


async def test_pictures_are_drawn_beside_the_loop_and_side_by_side() -> None:
    message = message_of(told())
    first, second = await asyncio.gather(drawn(message), drawn(message))
    assert first is not None
    assert first == second


async def test_nothing_to_draw_is_no_picture() -> None:
    assert await drawn(message_of(told("resolved"))) is None
