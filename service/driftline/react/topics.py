"""The topics react reads and writes, their records in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from driftline.contracts.cloudevents import decode_command, decode_lifecycle, decode_signal, encode
from driftline.contracts.reactions import Alert, Command
from driftline.react.core import Message
from driftline.react.draft import Said
from driftline.runtime.log import Outgoing, Record

Role = Literal["signals", "lifecycle", "commands"]
ROLES: Final[tuple[Role, ...]] = ("signals", "lifecycle", "commands")
"""What is read. One partition each: there is one order in each, and one worker for all."""

_DECODERS: Final[dict[Role, Callable[[bytes | None, Iterable[tuple[str, bytes]]], Message]]] = {
    "signals": decode_signal,
    "lifecycle": decode_lifecycle,
    "commands": decode_command,
}


@dataclass(frozen=True, slots=True)
class Topics:
    """Their names."""

    signals: str = "signals"
    lifecycle: str = "lifecycle"
    commands: str = "commands"
    alerts: str = "alerts"
    retraining: str = "retraining"
    deadletter: str = "deadletter"

    def read(self, role: Role) -> str:
        match role:
            case "signals":
                return self.signals
            case "lifecycle":
                return self.lifecycle
            case "commands":
                return self.commands

    def role(self, topic: str) -> Role:
        """The role of a topic that is read. LookupError for any other."""
        return next(role for role in ROLES if self.read(role) == topic)


def decode(role: Role, record: Record) -> Message:
    """The message of a record. Raises Poison."""
    return _DECODERS[role](record.value, record.headers)


def said_record(topics: Topics, said: Said) -> Outgoing:
    """Keyed by model: whoever compacts or partitions downstream keeps a model's order."""
    headers, value = encode(said)
    topic = topics.alerts if isinstance(said, Alert) else topics.retraining
    return Outgoing(topic, 0, said.model.encode("utf-8", "backslashreplace"), value, headers)


def command_record(topic: str, command: Command) -> Outgoing:
    headers, value = encode(command)
    return Outgoing(topic, 0, command.what.encode(), value, headers)
