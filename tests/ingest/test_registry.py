"""How fresh the view of the profiles is: a bundle is never judged by an older one than it was binned by."""

from __future__ import annotations

import weakref

import pytest

from driftline.clock import ManualClock
from driftline.registry import ProfileRegistry, reset_record
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter


class View:
    """A registry, and resets of models to be noticed by it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        log = MemoryLog(self.clock, {"profiles": 1})
        self.writer = MemoryWriter(log)
        self.registry = ProfileRegistry(MemoryReader(log), "profiles", self.clock)

    async def reset(self, model: str) -> None:
        await self.writer.publish([reset_record("profiles", model, "1", 1)])

    def noticed(self, model: str) -> bool:
        return self.registry.standing(model, "1").reset >= 0


@pytest.mark.parametrize("passed_s", [0.0, 0.01])
async def test_what_was_published_before_a_moment_is_seen_after_it(passed_s: float) -> None:
    """Also where the clock stands still. Mutation: in `refresh`, `>= stale`."""
    view = View()
    await view.registry.refresh(force=True)
    await view.reset("m")
    polled = view.clock.monotonic()
    view.clock.advance(passed_s)
    await view.registry.refresh(after=polled)
    assert view.noticed("m")


async def test_one_look_does_for_all_that_was_read_before_it() -> None:
    view = View()
    polled = view.clock.monotonic()
    view.clock.advance(0.01)
    await view.registry.refresh(after=polled)
    await view.reset("later")
    await view.registry.refresh(after=polled)
    assert not view.noticed("later")
    await view.registry.refresh(after=view.clock.monotonic())
    assert view.noticed("later")


async def test_what_has_cycles_is_freed_before_what_is_left_is_kept_for_ever() -> None:
    """Mutation: no `gc.collect` in `refresh`."""

    class Knot:
        def __init__(self) -> None:
            self.me = self

    view = View()
    await view.reset("m")
    gone = weakref.ref(Knot())
    await view.registry.refresh(force=True)
    assert gone() is None


async def test_otherwise_a_look_now_and_then() -> None:
    view = View()
    await view.registry.refresh()
    await view.reset("m")
    view.clock.advance(0.1)
    await view.registry.refresh()
    assert not view.noticed("m")
    view.clock.advance(0.2)
    await view.registry.refresh()
    assert view.noticed("m")
