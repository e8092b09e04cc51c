"""Signals about the service itself: a lost store, a gap in a log. Any stage may have to say them."""

from __future__ import annotations

from driftline.contracts.records import Signal, signal_id
from driftline.errors import LogGap
from driftline.outgoing import signal_record
from driftline.runtime.log import Outgoing


def state_lost_signal(topic: str, stage: str, partition: int, start: int, until: int) -> Outgoing:
    """The store no longer held what this stage had written for this partition; it is rebuilt from the log."""
    monitor = f"system:state_lost:{stage}/{partition}"
    return _system_signal(
        topic,
        monitor,
        f"{start}-{until}",
        f"The store lost the state of {stage} partition {partition}; it is rebuilt from the log, "
        f"offsets {start} to {until}. Counts and verdicts are not affected within the log's retention.",
        {"stage": stage, "partition": partition, "start": start, "until": until},
    )


def gap_signal(topic: str, stage: str, partition: int, gap: LogGap) -> Outgoing:
    """A part of the log is gone."""
    monitor = f"system:gap:{stage}/{partition}"
    return _system_signal(
        topic,
        monitor,
        f"{gap.expected}-{gap.found}",
        str(gap),
        {"stage": stage, "partition": partition, "expected": gap.expected, "found": gap.found},
    )


def _system_signal(
    topic: str, monitor: str, content: str, sentence: str, details: dict[str, str | int | float | bool | None]
) -> Outgoing:
    # What happened identifies it: saying it again after a crash is the same signal. Event time says nothing
    # about an incident of the service, so `time` is 0 and the broker's append time is when it was said.
    signal = Signal(
        id=signal_id("", "", f"{monitor}:{content}", 1),
        model="",
        version="",
        monitor=monitor,
        sequence=1,
        state="info",
        severity="error",
        time=0,
        sentence=sentence,
        details=details,
    )
    return signal_record(topic, signal)
