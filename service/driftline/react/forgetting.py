"""Which models are forgotten when there are more names than are remembered.

Names come from signals, which judge bounds (`judge.max_models_per_partition`), and from whoever writes `lifecycle` and
`commands`, which nobody does. Never one of which something is open: an incident, the end of one that people have yet to
hear of, a request in flight, what others are told with. First go those that no signal has ever spoken of,
without a comparison before those with one, then retired before used ones; among equals the one silent longest, in event
time. A model that is spoken of again begins anew. So that the bound holds for names that a writer of `commands`
invents, no request is made by hand for a model that nobody has spoken of, once something is open of that many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from driftline.react.state import Model

MAX_MODELS: Final = 10_000
ROOM: Final = 100
"""So many go at once: each look at all of them costs some milliseconds."""


def unsettled(model: Model) -> bool:
    """Whether something of it is open. The service itself always is."""
    return (
        not model.name
        or model.request is not None
        or any(v.awaited or any(i.leads for i in v.closed.values()) for v in model.versions.values())
    )


def forgettable(models: Iterable[Model], number: int) -> list[Model]:
    """At most `number`, those first that are missed least."""
    return sorted((model for model in models if not unsettled(model)), key=_missed)[:number]


def _missed(model: Model) -> tuple[bool, bool, bool, int, str]:
    versions = model.versions.values()
    return (
        any(version.last for version in versions),
        model.comparison is not None,
        any(version.in_use for version in versions),
        max([*(version.seen for version in versions), *model.asked], default=0),
        model.name,
    )
