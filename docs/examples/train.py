"""A retraining job: waits for requests, trains on the window advised, deploys."""

import asyncio

from driftline.client import KafkaSettings, RetrainingSubscriber, Window


def train(window: Window) -> tuple[str, float]:
    """Takes its time. Uses events with window.start <= time < window.to; start may be None."""
    return f"trained-to-{window.to}", 0.12


async def main(kafka: KafkaSettings | str = "kafka:9092") -> None:
    async with RetrainingSubscriber(kafka, job="flights-train", models={"flights"}) as requests:
        async for request in requests:
            async with request.working() as job:
                version, error = await asyncio.to_thread(train, request.window)
                job.version = version
                job.metrics["error"] = error
            # ... put it into service, then:
            await request.deployed(version)


if __name__ == "__main__":
    asyncio.run(main())
