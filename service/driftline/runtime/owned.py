"""A partition that is held, and what the loop is allowed and asked to do."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from driftline.runtime.limiter import RateLimiter
from driftline.runtime.log import Record
from driftline.runtime.stage import Range
from driftline.runtime.store import Slot

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Bounds and policies of a loop. Times in seconds."""

    max_batch: int = 50_000
    poll_s: float = 0.25
    idle_after_s: float = 10.0
    revoke_deadline_s: float = 5.0
    watchdog_s: float = 60.0
    commit_every_s: float = 1.0
    on_log_gap: Literal["stop", "earliest"] = "stop"
    on_fold_error: Literal["deadletter", "pause"] = "deadletter"
    dead_letters_per_s: float = 500.0
    dead_letter_burst: int = 10_000
    structure: str = ""
    """What may never change under a stored state (partition counts): another one refuses to start."""
    fingerprint: str = ""
    """Hash of the settings that change results: another one is said aloud, and taken over."""


@dataclass
class Owned(Generic[State]):
    """A partition we hold: our token, its state, where it stands, and what is still to be folded again."""

    slot: Slot
    token: str
    state: State
    position: int
    stored: int | None
    plan: deque[Range]
    limit: int
    limiter: RateLimiter
    buffer: list[Record] = field(default_factory=list)
    active_at: float = 0.0
    committed_at: float = 0.0
    paused_until: float | None = None
