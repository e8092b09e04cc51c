"""What waits to be sent: bounded in records and bytes, safe to use from any thread, never blocking on anything
but a lock that is held for about a microsecond.

Every event offered ends in exactly one count, so that offered = queued + sent + dropped + failed + invalid.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

OVERHEAD: Final = 160
"""Bytes a waiting record takes beside key and value: two objects' heads, a pair, a place in the queue."""
MAX_REASONS: Final = 64

Item = tuple[bytes, bytes]
"""Key and value of a record."""


class Counts(NamedTuple):
    """`queued` wait or are on their way now. `sent` were acknowledged by the broker. `dropped` found no room, came
    after `close`, or were still waiting when it gave up. `failed` were refused by the broker for good (too large,
    no rights). `invalid` were no events that Driftline could take."""

    queued: int
    sent: int
    dropped: int
    failed: int
    invalid: int


class Buffer:
    """`max_bytes` bounds keys, values and OVERHEAD, of records on their way too. When it is full, the newest is
    dropped: what waits is older, and its order is kept."""

    def __init__(self, max_records: int, max_bytes: int, wake: Callable[[], None]) -> None:
        """`wake` is called, outside the lock, by the first `put` after `rest` was True."""
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._wake = wake
        self.renew()

    def renew(self) -> None:
        """Begin anew, empty. For the child of a fork: the lock may have been held by a thread that is not there,
        and what waited is the parent's to send."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._accepted = self._settled = 0
        self._sent = self._dropped = self._failed = self._invalid = 0
        self._reasons: dict[str, str] = {}
        self._unsaid: list[tuple[str, str]] = []
        self._asleep = False
        self._closed = False

    def put(self, key: bytes, value: bytes) -> bool:
        size = len(key) + len(value) + OVERHEAD
        with self._lock:
            if (
                self._closed
                or self._accepted - self._settled >= self._max_records
                or self._bytes + size > self._max_bytes
            ):
                self._dropped += 1
                return False
            self._waiting.append((key, value))
            self._accepted += 1
            self._bytes += size
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._wake()
        return True

    def refuse(self, reason: str, detail: str) -> None:
        """Count an invalid event; the first of each reason is kept to be logged by the sender."""
        with self._lock:
            self._invalid += 1
            if reason in self._reasons or len(self._reasons) >= MAX_REASONS:
                return
            self._reasons[reason] = detail
            self._unsaid.append((reason, detail))
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._wake()

    def unsaid(self) -> list[tuple[str, str]]:
        """(reason, detail) of invalid events of which nothing was said yet."""
        with self._lock:
            unsaid, self._unsaid = self._unsaid, []
        return unsaid

    def take(self, max_records: int, max_bytes: int) -> list[Item]:
        """The oldest that wait, at least one where there is one. They stay counted until they are settled."""
        batch: list[Item] = []
        size = 0
        waiting = self._waiting
        while waiting and len(batch) < max_records:  # only one thread takes, and a deque needs no lock for that
            key, value = waiting[0]
            size += len(key) + len(value)
            if batch and size > max_bytes:
                break
            batch.append(waiting.popleft())
        return batch

    def settle(self, batch: Sequence[Item], *, sent: bool) -> None:
        """What was taken has been acknowledged, or was refused for good."""
        size = sum(len(key) + len(value) + OVERHEAD for key, value in batch)
        with self._lock:
            if self._closed:
                return
            if sent:
                self._sent += len(batch)
            else:
                self._failed += len(batch)
            self._settled += len(batch)
            self._bytes -= size
            self._changed.notify_all()

    def rest(self) -> bool:
        """Whether there is nothing to do; if so, the next `put` or `refuse` wakes."""
        with self._lock:
            self._asleep = not self._waiting and not self._unsaid
            return self._asleep

    def wait_settled(self, timeout: float) -> bool:
        """Wait until all that was accepted before this call is settled. False where the time is up."""
        with self._lock:
            goal = self._accepted
            return self._changed.wait_for(lambda: self._settled >= goal or self._closed, timeout)

    def close(self) -> int:
        """Take nothing more and give up what is not settled; how many that is."""
        with self._lock:
            left = self._accepted - self._settled
            self._closed = True
            self._dropped += left
            self._settled = self._accepted
            self._waiting = deque()
            self._bytes = 0
            self._changed.notify_all()
        return left

    def counts(self) -> Counts:
        with self._lock:
            queued = self._accepted - self._settled
            return Counts(queued, self._sent, self._dropped, self._failed, self._invalid)
