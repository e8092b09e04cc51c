"""React is killed upon the first alarm over errors, and upon nothing else."""

from __future__ import annotations

from typing import Any, cast

from driftline.clock import ManualClock
from driftline.demo.ambush import Ambush
from driftline.outgoing import signal_record
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter
from react.making import signal


class Store:
    async def reacted(self) -> dict[str, int]:
        return {"signals": 2}


async def test_it_waits_for_an_alarm_over_errors() -> None:
    log = MemoryLog(ManualClock(), {"signals": 1})
    ambush = Ambush(MemoryReader(log), cast(Any, Store()), "signals")
    sprung = []
    for said in (
        signal("features.a:distribution"),
        signal("error:rate", state="resolved"),
        signal("loss:distribution"),
    ):
        sprung.append(await ambush.sprung())
        await MemoryWriter(log).publish([signal_record("signals", said)])
    sprung += [await ambush.sprung(), await ambush.sprung()]
    assert sprung == [False, False, False, True, False]
    assert await ambush.unanswered() == 1
