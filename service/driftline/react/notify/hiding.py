"""What leaves the house without `notify.values`: no category's name, no value, no range of values.

Averages, shares, counts and the names of models and columns are told. Sentences are made by `stats/`, which puts
names of categories in double quotes and values after a handful of words: what is between the first quote and the
last goes, whatever it is, and so does any number after such words.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from driftline.contracts.reactions import Alert, RetrainingRequested, Witnessed
from driftline.contracts.records import Effect, Part, Shape
from driftline.react.notify.notification import Channel, Notification

_NUMBER: Final = r"[-−]?(?:\d[\d.,]*(?:e[-+]?\d+)?|inf|nan)"
_QUOTED: Final = re.compile(r'".*"', re.DOTALL)
_LEVEL: Final = re.compile(rf"(the old P[\d.]+) \({_NUMBER}\)")
_RANGE: Final = re.compile(rf"\bvalues {_NUMBER} to {_NUMBER}")
_SIDE: Final = re.compile(rf"\bvalues ((?:at or )?(?:below|above)) {_NUMBER}")
_FROM: Final = re.compile(rf"\bvalues (?:of|from|up to) {_NUMBER}(?: on)?")


def hidden_text(text: str) -> str:
    """`text` without what it says of values."""
    text = _QUOTED.sub("a category", text)
    text = _LEVEL.sub(r"\1", text)
    text = _RANGE.sub("some values", text)
    text = _SIDE.sub(r"values \1 some level", text)
    return _FROM.sub("some values", text)


def hidden(notification: Notification) -> Notification:
    """The same, without values."""
    return replace(
        notification,
        alert=None if notification.alert is None else _alert(notification.alert),
        request=None if notification.request is None else _request(notification.request),
        digest=[_alert(alert) for alert in notification.digest],
    )


class Discreet:
    """A channel that is not told of values."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        return await self._channel.send(hidden(notification), receipt)

    async def close(self) -> None:
        await self._channel.close()


def _alert(alert: Alert) -> Alert:
    return replace(
        alert,
        sentence=hidden_text(alert.sentence),
        advice=hidden_text(alert.advice),
        evidence=[_witnessed(one) for one in alert.evidence],
        also=[replace(one, sentence=hidden_text(one.sentence)) for one in alert.also],
    )


def _request(request: RetrainingRequested) -> RetrainingRequested:
    return replace(
        request,
        reason=hidden_text(request.reason),
        window=replace(request.window, why=hidden_text(request.window.why)),
        evidence=[_witnessed(one) for one in request.evidence],
    )


def _witnessed(one: Witnessed) -> Witnessed:
    effect = None if one.effect is None else _effect(one.effect)
    return replace(one, sentence=hidden_text(one.sentence), effect=effect)


def _effect(effect: Effect) -> Effect:
    shape = None if effect.shape is None else _shape(effect.shape)
    return replace(
        effect, witness=hidden_text(effect.witness), parts=[_part(part) for part in effect.parts], shape=shape
    )


def _part(part: Part) -> Part:
    return replace(part, what=hidden_text(part.what))


def _shape(shape: Shape) -> Shape:
    return replace(shape, labels=[""] * len(shape.labels))
