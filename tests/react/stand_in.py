"""A receiver in memory: what it takes, when, and what it says while it is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from driftline.react.notify.notification import Notification


@dataclass
class StandIn:
    """A channel. `trouble` is asked at each call, and may say what to raise. `opened`: as PagerDuty sees them, the
    incidents by key; `threads`: the receipts that were handed in with what was taken."""

    trouble: Callable[[Notification], Exception | None] = lambda notification: None
    calls: list[tuple[float, Notification]] = field(default_factory=list)
    taken: list[Notification] = field(default_factory=list)
    threads: list[str | None] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    lasting: set[str] = field(default_factory=set)
    closed: bool = False

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        self.calls.append((asyncio.get_running_loop().time(), notification))
        error = self.trouble(notification)
        if error is not None:
            raise error
        self.taken.append(notification)
        self.threads.append(receipt)
        self.opened.add(notification.key)
        if notification.alert is not None and notification.alert.status == "resolved":
            self.lasting.discard(notification.key)
        else:
            self.lasting.add(notification.key)
        return receipt or f"thread-{len(self.taken)}"

    async def close(self) -> None:
        self.closed = True

    @property
    def told(self) -> list[str]:
        """What was taken, in few words."""
        return [f"{n.alert.model or n.alert.version}:{n.alert.status}" for n in self.taken if n.alert is not None]
