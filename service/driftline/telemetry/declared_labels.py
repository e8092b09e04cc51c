"""Every label a metric may carry, and how many values it may take.

A label is closed (the values are listed) or open with a cap. A value that is not listed, or comes when the cap is
reached, is counted under `other` (`metrics.py`): nobody's names can cost Prometheus memory without bound.
"""

from __future__ import annotations

from typing import Final, get_args

from driftline.contracts.reactions import AlertStatus, Cause, Rule
from driftline.contracts.reasons import Reason
from driftline.contracts.records import Severity, SignalState
from driftline.runtime.store import Verdict
from driftline.telemetry.metric import capped, closed

STAGE: Final = closed("stage", "ingest", "judge", "react")
PARTITION: Final = capped("partition", 1_024)
"""The most that a topic of ours may have."""
MODEL: Final = capped("model", 100)
"""Models with open incidents, the gravest first. The only label whose values others choose."""

ALERT_STATUS: Final = closed("status", *get_args(AlertStatus))
CAUSE: Final = closed("cause", *get_args(Cause))
COMMIT: Final = closed("verdict", *(verdict.value for verdict in Verdict))
FINGERPRINT: Final = capped("fingerprint", 1)
MET: Final = closed("met", "paired", "waiting")
PARTITION_CHANGE: Final = closed(
    "what", "assigned", "revoked", "abandoned", "fenced", "state_lost", "gap", "reloaded"
)
MODEL_STATE: Final = closed("state", "learning", "watched", "silent")
RECEIVER: Final = capped("receiver", 50)
"""As many as the configuration may name."""
REASON: Final = closed("reason", *Reason)
RETRIED: Final = closed("what", "poll", "acquire", "prepare", "read", "commit", "publish", "take_over", "tick")
RULE: Final = closed("rule", *get_args(Rule))
SENT: Final = closed("outcome", "sent", "retried", "refused", "dropped")
SEVERITY: Final = closed("severity", *get_args(Severity))
SIDE: Final = closed("what", "prediction", "outcome")
SIGNAL_STATE: Final = closed("state", *get_args(SignalState))
VERSION: Final = capped("version", 1)
