"""The publisher: everything arrives once, in order, and it remembers when."""

from __future__ import annotations

import pytest

from demo.world import many
from driftline.clock import ManualClock
from driftline.demo.events import write_script
from driftline.demo.publisher import Publisher
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
