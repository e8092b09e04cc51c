"""Where the publisher's event time stands still, so that every run is the same.

Verdicts lag behind publishing by seconds, in which the publisher would be weeks ahead. So it waits at fixed event
times until everything published has been counted, judged and reacted to; a request that is there then is answered
before it goes on. As it holds at least once in LEAD_MS, a version asked for at `t` can be deployed at `t + LEAD_MS`
to the millisecond: that time is never past when the request is seen.
"""

from __future__ import annotations

from typing import Final

DAY_MS: Final = 86_400_000
HOLD_EVERY_MS: Final = 14 * DAY_MS
APPROACH_MS: Final = DAY_MS // 2
"""Before a hold it waits once more, so much earlier, and then publishes the rest. Ingest's watermark is the median of
the last range it read: after a range of half a day it is close to the hold, however slow the machine was before."""
LEAD_MS: Final = 14 * DAY_MS
"""From a request to the deployment of what it asked for. Meanwhile the new model predicts without being used:
what it says then is its reference."""


def next_hold(begin: int, reached: int, deploy_at: int | None, deployed: bool) -> int | None:
    """The event time, ms, to publish up to and hold at; None: no further hold. `begin` is where publishing began,
    `reached` the last hold, `deploy_at` when the version asked for is to be deployed (None: none is asked for)."""
    if deployed:
        return None
    if deploy_at is not None:
        return max(deploy_at, reached)
    return begin + ((reached - begin) // HOLD_EVERY_MS + 1) * HOLD_EVERY_MS
