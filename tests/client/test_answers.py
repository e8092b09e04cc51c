"""What a retraining job remembers of the answers on the topic: a bounded tail."""

from __future__ import annotations

import pytest

from client.making import LIFECYCLE, World
from driftline.client import LifecycleReporter
from driftline.client import answers as answers_module
from driftline.contracts.records import Lifecycle


def test_the_memory_of_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MAX_IDS", 3)
    answers = answers_module.Answers(World().connect(None).reader, LIFECYCLE, "train")  # type: ignore[arg-type]
    for i in (1, 2, 3, 1, 4, 5):
        event = Lifecycle(id="", what="deployed", model="m", version="1", time=0, request=f"r{i}")
        answers.take(event)
    assert [i for i in range(1, 6) if answers.answered(f"r{i}")] == [1, 4, 5]


async def test_only_the_tail_of_the_answers_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "TAIL", 2)
    connection = world.connect(None)  # type: ignore[arg-type]
    async with LifecycleReporter("memory:1", connect=world.connect) as reporter:
        answers = answers_module.Answers(connection.reader, LIFECYCLE, "train")
        for i in range(4):
            await reporter.deployed("m", "1", request=f"r{i}")
        world.log.append(LIFECYCLE, 0, b"poison")
        await answers.catch_up()
        assert [i for i in range(4) if answers.answered(f"r{i}")] == [3]
        for i in range(4, 9):
            await reporter.deployed("m", "1", request=f"r{i}")
        await answers.catch_up()
        assert [i for i in range(9) if answers.answered(f"r{i}")] == [3, 4, 5, 6, 7, 8]
