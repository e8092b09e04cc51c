"""Which segments of a model limits ask about, and what happened by their values. Where none asks, nothing is
remembered and nothing is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from driftline.contracts.events import Event
from driftline.stats.codes import MISSING
from driftline.stats.limit_rules import LimitRule, segments_of
from driftline.stats.rows import Column
from driftline.stats.segments import crossed

_MAX_MODELS: Final = 10_000
Segments = dict[str, str]


class Asked:
    """The segments that the limits of a stream compare, by model. False where there are none of any model."""

    def __init__(self, limits: Iterable[LimitRule], stream: str) -> None:
        self._stream = stream
        self._rules = [rule for rule in limits if segments_of([rule], stream)]
        self._known: dict[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, model: str) -> tuple[str, ...]:
        if not self._rules:
            return ()
        found = self._known.get(model)
        if found is None:
            if len(self._known) >= _MAX_MODELS:
                self._known.clear()
            found = segments_of((rule for rule in self._rules if rule.applies(model)), self._stream)
            self._known[model] = found
        return found

    def kept(self, event: Event) -> Segments | None:
        """Of an event's segments those that are asked for; None where it has none of them."""
        given = event.segments
        if not given or not self._rules:
            return None
        return {name: given[name] for name in self.of(event.model) if name in given} or None


def crossed_column(values: Sequence[str | None], happened: Sequence[str | None]) -> Column | None:
    """A segment's values with what happened to each row. None where no row has both."""
    texts = [
        None if value is None or what is None else crossed(value, what)
        for value, what in zip(values, happened, strict=True)
    ]
    absent = np.array([text is None for text in texts])
    if absent.all():
        return None
    status = np.where(absent, MISSING, 0).astype(np.uint8) if absent.any() else None
    return Column(np.full(len(texts), np.nan), texts, status)
