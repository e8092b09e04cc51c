"""What tests of bad input and of outputs need beside the world: small feeds, and readers of what was said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from driftline.contracts.blocks import Bundle
from driftline.contracts.cloudevents import decode_dead_letter, decode_signal
from driftline.contracts.records import DeadLetter, Signal
from driftline.stats.codec import unpack
from faults.data import STEP_MS, T0, Message, encode
from faults.world import World

Features = Callable[[int, np.random.Generator], dict[str, Any]]


def plain(i: int, rng: np.random.Generator) -> dict[str, Any]:
    """Features in which nothing happens."""
    return {
        "amount": float(rng.normal()),
        "age": float(rng.integers(18, 90)),
        "place": str(rng.choice(["home", "away"])),
    }


def prediction(model: str, i: int, features: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The event `i` of a model, of the time that is its turn."""
    event = {"type": "prediction", "id": f"{model}-{i}", "model": model, "version": "1", "time": T0 + i * STEP_MS}
    return {**event, "features": features, "prediction": True, **other}


def outcome(model: str, i: int, truth: object, delay_ms: int = 2_000) -> dict[str, Any]:
    time = T0 + i * STEP_MS + delay_ms
    return {"type": "outcome", "id": f"{model}-{i}", "model": model, "time": time, "outcome": truth}


def sent(event: dict[str, Any], due: float | None = None, route: str | None = None) -> Message:
    """An event as a message, due at its own time."""
    return Message(
        str(event["id"]) if route is None else route, event["time"] if due is None else due, encode(event)
    )


def stream(n: int, features: Features = plain, model: str = "m", seed: int = 0) -> list[Message]:
    """`n` predictions, 0.3 s apart; half of them are taken for the reference where `n` is 2,400."""
    rng = np.random.default_rng(seed)
    return [sent(prediction(model, i, features(i, rng))) for i in range(n)]


def in_order(messages: Sequence[Message]) -> list[Message]:
    return sorted(messages, key=lambda m: m.due)


def end_of(n: int) -> int:
    return T0 + n * STEP_MS


def signals(world: World) -> list[Signal]:
    return [decode_signal(r.value, r.headers) for r in world.log.records("signals", 0)]


def alarms(world: World, model: str = "m") -> list[tuple[str, str]]:
    """(monitor, state) of a model, in order, without those of its reference."""
    said = [s for s in signals(world) if s.model == model]
    return [(s.monitor, s.state) for s in said if not s.monitor.startswith("system:")]


def letters(world: World) -> list[DeadLetter]:
    return [decode_dead_letter(r.value, r.headers) for r in world.log.records("deadletter", 0)]


def refusals(world: World) -> Counter[str]:
    return Counter(letter.reason for letter in letters(world))


def tallies(world: World, model: str) -> Counter[str]:
    """What the judges have counted of a model, over all its versions."""
    total: Counter[str] = Counter()
    for fields in world.fields("judge").values():
        for name, data in fields.items():
            if name.startswith("m:"):
                record = msgspec.msgpack.decode(unpack("model", 2, data)[1])
                if record["model"] == model:
                    total.update(record["tallies"])
    return total


def ledgers(world: World) -> list[dict[str, Any]]:
    return [
        msgspec.msgpack.decode(unpack("ledger", 1, fields["ledger"])[1], strict=False)
        for fields in world.fields("judge").values()
    ]


def bundles(world: World) -> list[Bundle]:
    """All that ingest has said to judge."""
    records = [r for p in range(world.shape.blocks) for r in world.log.records("blocks", p)]
    return [msgspec.msgpack.decode(record.value or b"", type=Bundle) for record in records]


def judge_bytes(world: World) -> int:
    """What the judges keep."""
    return sum(len(name) + len(data) for fields in world.fields("judge").values() for name, data in fields.items())


def complaints(world: World) -> list[tuple[Any, ...]]:
    """What workers were told that must not happen on bad input."""
    wrong = ("fold_failed", "quarantined", "released", "stalled")
    return [note for worker in world.workers for note in worker.notes.told if note[0] in wrong]
