"""What a judge has counted: the next offset per input partition, and the watermark over all of them."""

from __future__ import annotations

import msgspec

from driftline.contracts.blocks import NO_WATERMARK, Bundle
from driftline.errors import LogGap


class Ledger(msgspec.Struct):
    """One `blocks` partition's record. Exactly one bundle per range and `blocks` partition moves `next`; a second
    copy is skipped, a missing one is a gap.

    `said` are sequence numbers that were given out before the state was lost: new ones go on from there.
    `carried` are the offsets of pairs that came with an empty range at `next`: nothing else tells a second copy
    of one from the first."""

    next: dict[int, int] = {}
    watermarks: dict[int, int] = {}
    idle: list[int] = []
    sources: int = 0
    closed: int = NO_WATERMARK
    refused: dict[str, int] = {}
    unversioned: dict[str, int] = {}
    not_admitted: int = 0
    skipped_bundles: int = 0
    gaps: int = 0
    said: dict[str, int] = {}
    carried: dict[int, list[int]] = {}

    def take(self, bundle: Bundle, where: str, on_gap: str) -> bool:
        """True if the bundle is new; False if it has been counted. Raises LogGap where ranges are missing and
        `on_gap` is "stop"; otherwise the gap is counted and the bundle taken."""
        known = self.next.get(bundle.source)
        if known is not None and bundle.next <= known and not (bundle.first == bundle.next == known):
            self.skipped_bundles += 1
            return False
        if bundle.first == bundle.next and not self._fresh(bundle):
            self.skipped_bundles += 1
            return False
        if known is not None and bundle.first != known:
            if on_gap == "stop":
                raise LogGap(f"{where}, source {bundle.source}", known, bundle.first)
            self.gaps += 1
        if bundle.first < bundle.next:
            self.carried.pop(bundle.source, None)
        self.next[bundle.source] = bundle.next
        self.sources = max(self.sources, bundle.sources)
        former = self.watermarks.get(bundle.source, NO_WATERMARK)
        self.watermarks[bundle.source] = max(former, bundle.watermark)
        if bundle.idle and bundle.source not in self.idle:
            self.idle.append(bundle.source)
        elif not bundle.idle and bundle.source in self.idle:
            self.idle.remove(bundle.source)
        for window in bundle.windows.values():
            for reason, count in window.refused.items():
                self.refused[reason] = self.refused.get(reason, 0) + count
        return True

    def _fresh(self, bundle: Bundle) -> bool:
        """Whether the pairs of an empty range have not come before."""
        if not bundle.emitted:
            return True
        carried = self.carried.setdefault(bundle.source, [])
        if set(bundle.emitted) <= set(carried):
            return False
        carried += bundle.emitted
        return True

    def watermark(self) -> int:
        """The minimum over sources that are not idle; over all, when every one is idle, the maximum: nothing
        more is on its way. Nothing (NO_WATERMARK) until every source has reported once. Never goes back."""
        if len(self.watermarks) < self.sources:
            return self.closed
        busy = [w for s, w in self.watermarks.items() if s not in self.idle]
        now = min(busy) if busy else max(self.watermarks.values(), default=NO_WATERMARK)
        return max(self.closed, now)
