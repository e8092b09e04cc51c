"""Records out: contracts as they are published."""

from __future__ import annotations

from driftline.contracts.cloudevents import encode
from driftline.contracts.deadletter import dead_letter
from driftline.contracts.records import Signal
from driftline.errors import Poison
from driftline.runtime.log import Outgoing, Record


def signal_record(topic: str, signal: Signal) -> Outgoing:
    """Keyed by monitor; the topic has one partition, so signals keep their order."""
    headers, value = encode(signal)
    key = "\x1f".join((signal.model, signal.version, signal.monitor))
    return Outgoing(topic, 0, key.encode("utf-8", "backslashreplace"), value, headers)


def dead_letter_record(topic: str, partition: int, record: Record, why: Poison) -> Outgoing:
    headers, value = encode(dead_letter(record, why))
    return Outgoing(topic, partition, record.key, value, headers)
