"""What some messages come to, before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from driftline.react.draft import Said
from driftline.react.notify.outbox import Edit
from driftline.react.state import State
from driftline.react.topics import Role
from driftline.runtime.log import Outgoing


@dataclass
class Made:
    """The new state and its dirty models, what to publish, how much of it are refusals, and what to notify."""

    state: State
    edit: Edit
    dirty: set[str] = field(default_factory=set)
    outbox: list[Outgoing] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    refused: int = 0

    def move(self, role: Role, position: int) -> None:
        """Stand at `position` in a topic. The state that this was made from stays where it stood."""
        self.state = msgspec.structs.replace(self.state, positions={**self.state.positions, role: position})
