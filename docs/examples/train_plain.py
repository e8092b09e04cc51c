"""The same without asyncio: a function for each request, called in a thread."""

from driftline.client import Job, KafkaSettings, run


def retrain(job: Job) -> None:
    """Returns: succeeded. Raises: failed."""
    window = job.request.window
    job.version = f"plain-to-{window.to}"
    job.metrics["error"] = 0.12


def main(kafka: KafkaSettings | str = "kafka:9092") -> None:
    run(retrain, kafka, job="flights-plain", models={"flights"})  # for ever


if __name__ == "__main__":
    main()
