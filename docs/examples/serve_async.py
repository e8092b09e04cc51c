"""The same in an asyncio server: logging needs no `await`, closing does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from driftline.client import EventLogger, KafkaSettings


@asynccontextmanager
async def lifespan(kafka: KafkaSettings | str) -> AsyncIterator[EventLogger]:
    """As FastAPI and Starlette take it."""
    async with EventLogger(kafka) as events:
        yield events


async def predict(events: EventLogger, id: str, features: dict[str, float]) -> str:
    started = time.perf_counter()
    answer = "late" if features["distance"] > 50 else "in time"
    took_ms = (time.perf_counter() - started) * 1000
    events.log_prediction(
        model="flights",
        version="7",
        id=id,
        features=features,
        prediction=answer,
        segments={"region": "north"},
        latency_ms=took_ms,
    )
    return answer


async def main(kafka: KafkaSettings | str = "kafka:9092") -> None:
    async with lifespan(kafka) as events:
        await predict(events, "order-2", {"distance": 12.0})


if __name__ == "__main__":
    asyncio.run(main())
