"""Events for the fault tests: two models with drift, late truths, duplicates and poison; and where each is sent."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

T0: Final = 1_700_000_000_000
MODELS: Final = ("flights", "prices")
TICK: Final = "tick"
STEP_MS: Final = 300
JITTER_MS: Final = 2_000
EVENTS: Final = 150
PAIRS: Final = 125
"""References. Onboarding takes up to 8 times as many, and holds up to 16 times `EVENTS` rows back."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be: `route` decides its partition, `due` its place in the order of arrival."""

    route: str
    due: float
    value: bytes


@dataclass
class Truth:
    """What was injected, counted while it was made."""

    predictions: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    duplicate_predictions: Counter[str] = field(default_factory=Counter)
    duplicate_outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class Feed:
    messages: list[Message]
    truth: Truth
    end: int


def encode(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event)


@lru_cache(maxsize=8)
def feed(
    seed: int = 0,
    n: int = 2_400,
    models: tuple[str, ...] = MODELS,
    *,
    poison: bool = True,
    strays: bool = True,
    seconds: bool = True,
) -> Feed:
    """`n` predictions a model, 0.3 s apart, 3 in 4 with an outcome 2 to 60 s later; drift begins at three quarters.

    Messages come within `JITTER_MS` of each other's order in time. Half of the duplicate predictions are `strays`,
    sent to another partition than the first copy; `seconds` are second outcomes that contradict the first."""
    rng = np.random.default_rng(seed)
    truth, messages = Truth(), []

    def send(route: str, time: float, event: dict[str, Any]) -> None:
        messages.append(Message(route, time + rng.uniform(-JITTER_MS / 2, JITTER_MS / 2), encode(event)))

    for model in models:
        for i in range(n):
            time, drifted = T0 + i * STEP_MS + int(rng.integers(0, STEP_MS)), i > 3 * n // 4
            label = bool(rng.random() < 0.5)
            name = f"{model}-{i}"
            event = {
                "type": "prediction",
                "id": name,
                "model": model,
                "version": "1",
                "time": time,
                "features": {
                    "amount": float(rng.normal(1.5 if drifted else 0.0)),
                    "place": str(
                        rng.choice(["home", "road", "away"], p=[0.2, 0.3, 0.5] if drifted else [0.6, 0.3, 0.1])
                    ),
                    "age": float(rng.integers(18, 90)) if rng.random() > 0.02 else None,
                },
                "prediction": label,
                "score": 0.8 if label else 0.2,
            }
            send(name, time, event)
            truth.predictions[model] += 1
            if rng.random() < 0.02:
                send(f"{name}'" if rng.random() < 0.5 and strays else name, time + 3_000, event)
                truth.duplicate_predictions[model] += 1
            if rng.random() < 0.75:
                known = time + int(rng.uniform(2_000, 60_000))
                wrong = rng.random() < (0.35 if drifted else 0.1)
                outcome = {"type": "outcome", "id": name, "model": model, "time": known, "outcome": label != wrong}
                route = name if rng.random() < 0.6 else f"{name}/truth"
                send(route, known, outcome)
                truth.pairs[model] += 1
                if rng.random() < 0.03 and seconds:
                    send(route, known + 6_000, {**outcome, "time": known + 6_000, "outcome": label == wrong})
                    truth.duplicate_outcomes[model] += 1
    end = T0 + n * STEP_MS + 70_000
    if poison:
        for i in range(12):
            bad = [
                (b"{", "json"),
                (b"", "empty"),
                (encode({"type": "prediction", "id": "x", "model": "m", "time": T0}), "schema"),
                (encode({"type": "outcome", "id": "x", "model": "m", "time": T0 + 10**12, "outcome": 1}), "future"),
            ][i % 4]
            messages.append(Message(f"bad{i}", T0 + i * (end - T0) / 12, bad[0]))
            truth.refused[bad[1]] += 1
    messages.sort(key=lambda m: m.due)
    return Feed(messages, truth, end)


def tail(end: int, partitions: int) -> list[Message]:
    """A few events an hour later on every partition, to be sent when the rest is folded: they close its panes."""
    return [
        Message(
            f"={p}",
            0.0,
            encode(
                {
                    "type": "prediction",
                    "id": f"tick-{p}-{i}",
                    "model": TICK,
                    "version": "1",
                    "time": end + 3_600_000 + i,
                    "features": {},
                    "prediction": 1,
                }
            ),
        )
        for p in range(partitions)
        for i in range(3)
    ]


def partition_of(message: Message, partitions: int) -> int:
    if message.route.startswith("="):
        return int(message.route[1:])
    return zlib.crc32(message.route.encode()) % partitions
