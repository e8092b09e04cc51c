"""Hooks of react, all no-ops: telemetry overrides the ones it wants."""

from __future__ import annotations

from driftline.react.draft import Note, Said
from driftline.react.state import State
from driftline.runtime.observe import Observer


class ReactObserver(Observer):
    """Methods must be quick and must not raise."""

    def said(self, said: Said) -> None:
        """An alert or a request has been published (again, after a crash)."""

    def noted(self, note: Note) -> None: ...

    def stands(self, state: State) -> None:
        """The state as written last; one without models when this instance is no longer active."""

    def pending(self, receiver: str, notifications: int) -> None:
        """How many notifications wait for a receiver."""

    def dropped(self, receiver: str, id: str) -> None:
        """A notification will not be sent: too many wait, or its receiver is configured no more."""

    def notified(self, receiver: str, id: str, outcome: str, detail: str) -> None:
        """`outcome`: sent, retried or refused."""
