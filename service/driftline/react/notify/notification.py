"""What a channel is given to send, and what a channel is."""

from __future__ import annotations

from typing import Protocol

import msgspec

from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Lifecycle
from driftline.errors import DriftlineError, Transient


class Refused(DriftlineError):
    """The receiver will never take this notification, or must not be called at all. Never says a secret."""


class TryLater(Transient):
    """The receiver is away, busy or broken for now. `wait_s`: what it asked for, None if nothing."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be told to one receiver. Exactly one of `alert`, `request`, `event` is given, or a `digest` of at
    least one alert (and of `more` that are not in it), or it is a `test`.

    `id` is a function of the receiver and of what is told, so that a repeat after a crash is recognised. `key` names
    the incident as people see it (that of the model it is told with): the thread, the dedup key, for all that is
    ever said of it."""

    id: str
    receiver: str
    key: str
    alert: Alert | None = None
    request: RetrainingRequested | None = None
    event: Lifecycle | None = None
    digest: list[Alert] = []
    more: int = 0
    test: bool = False


class Channel(Protocol):
    """A way to one receiver. `send` returns when the receiver has taken it."""

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        """`receipt`: what the first `send` of this key returned, None before (a thread's id, say). It is kept with
        the incident. Raises TryLater where a repeat may help, Refused where none will."""
        ...

    async def close(self) -> None: ...
