"""Every error Driftline raises on purpose, and who acts on it.

    DriftlineError
    ├── Misconfigured      the operator: refuse to start; the message says which setting and what to do
    ├── Poison             the producer: this one record goes to the dead-letter topic, with a reason
    ├── Transient          nobody: wait with back-off and try the same thing again; nothing is lost
    │   └── PublishRefused the operator: the broker refuses a record for its size or its rights; input pauses
    ├── Fenced             the worker: another owner has taken this partition; drop state, write nothing
    ├── StateLost          the worker: the store no longer holds what we wrote; say it aloud, rebuild from the log
    ├── LogGap             the operator: records are missing from a log we must read whole; stop, or go on by policy
    ├── StateCorrupt       the worker: one state record cannot be read; quarantine it, cold-start that record only
    └── StateTooNew        the operator: state was written by a newer Driftline; refuse, never overwrite

The consumer loop maps each leaf to its action in one `match` (`runtime/loop.py`).
"""

from __future__ import annotations


class DriftlineError(Exception):
    """Base of the tree; never raised itself."""


class Misconfigured(DriftlineError):
    """The service cannot start, or go on, as configured. The message names the setting and the remedy."""


class Poison(DriftlineError):
    """One record that can never be taken.

    `reason` is a short stable token (it becomes a metric label and the dead letter's `reason`),
    `detail` a sentence for a person. Neither ever contains the payload.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Transient(DriftlineError):
    """Kafka or Redis is away, slow, or out of memory for now. The same call may be repeated."""


class PublishRefused(Transient):
    """The broker answers, and refuses this very record (too large, no rights). Input pauses until it is mended."""


class Fenced(DriftlineError):
    """The stored owner token is not ours: somebody else owns this partition now."""


class StateLost(DriftlineError):
    """The store has forgotten this partition, or holds an older state than the one we wrote."""


class LogGap(DriftlineError):
    """Records `expected` .. `found` of a log are gone (retention, a recreated topic, a lost bundle)."""

    def __init__(self, where: str, expected: int, found: int, hint: str = "") -> None:
        super().__init__(
            f"{where}: offset {expected} is wanted, {found} is the next there is; "
            f"{abs(found - expected)} records are missing. {hint}".rstrip()
        )
        self.where = where
        self.expected = expected
        self.found = found


class StateCorrupt(DriftlineError):
    """State bytes fail their checksum, are truncated, or are of no kind we know."""


class StateTooNew(DriftlineError):
    """State bytes carry a version newer than this code writes."""


def origin(error: BaseException) -> str:
    """What an exception is and where it was raised, for a log: `KeyError at driftline.stats.grid:41`, the innermost
    line of ours where there is one. Never its text, which may repeat values of features, or secrets."""
    lines = []
    at = error.__traceback__
    while at is not None:
        lines.append((str(at.tb_frame.f_globals.get("__name__")), at.tb_lineno))
        at = at.tb_next
    ours = [line for line in lines if line[0].startswith("driftline.")]
    where = "".join(f" at {module}:{number}" for module, number in (ours or lines)[-1:])
    return f"{type(error).__name__}{where}"
