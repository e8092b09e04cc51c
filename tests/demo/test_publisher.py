"""The publisher: everything arrives once, in order, and it remembers when."""

from __future__ import annotations

import pytest

from demo.world import many
from driftline.clock import ManualClock
from driftline.demo.events import PREDICTION, write_script
from driftline.demo.flights import NEVER
from driftline.demo.model import VERSION
from driftline.demo.publisher import Publisher, paired_by_version
from driftline.runtime.memory_log import MemoryLog, MemoryWriter


class HastyClock(ManualClock):
    """Ten seconds pass whenever somebody looks, so that nobody ever has to wait."""

    def monotonic(self) -> float:
        self.advance(10.0)
        return super().monotonic()


@pytest.fixture
async def played() -> tuple[Publisher, MemoryLog]:
    clock = HastyClock(1_000_000)
    log = MemoryLog(clock, {"events": 4})
    script = write_script(*many(300), copies=10, spoilt=10)
    publisher = Publisher(script, MemoryWriter(log), "events", 4, 500, clock)
    await publisher.run()
    return publisher, log


async def test_everything_is_published_and_counted(played: tuple[Publisher, MemoryLog]) -> None:
    publisher, log = played
    ends = {partition: log.bounds("events", partition).end for partition in range(4)}
    assert publisher.by_partition == ends
    assert publisher.done == publisher.total == sum(ends.values())
    assert (publisher.predictions, publisher.outcomes) == (310, publisher.total - 310)


async def test_it_knows_when_the_last_event_before_a_time_was_sent(played: tuple[Publisher, MemoryLog]) -> None:
    publisher, _ = played
    begin = 1_364_806_800_000
    assert publisher.sent_before(begin) is None
    first, last = publisher.sent_before(begin + 1), publisher.sent_before(1 << 60)
    assert first is not None
    assert last is not None
    assert first < last


async def test_it_holds_where_it_is_told_to_and_goes_on_with_another_version() -> None:
    clock = HastyClock(1_000_000)
    log = MemoryLog(clock, {"events": 4})
    script = write_script(*many(300), copies=10, spoilt=10)
    publisher = Publisher(script, MemoryWriter(log), "events", 4, 500, clock)
    since = int(script.flights.time[150])
    await publisher.run(since)
    assert 0 < publisher.done < publisher.total
    assert (script.at[: publisher.done] < since).all()
    assert publisher.event_time >= since
    publisher.switch(script.switched(since, "new", script.predictions))
    await publisher.run()
    assert publisher.done == publisher.total
    clean = script.clean
    old = script.flights.time < since
    assert publisher.by_version(PREDICTION) == {VERSION: (clean & old).sum(), "new": (clean & ~old).sum()}
    told = script.flights.known_at != NEVER
    assert paired_by_version(publisher) == {VERSION: (clean & old & told).sum(), "new": (clean & ~old & told).sum()}
