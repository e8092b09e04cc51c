"""A step of a deployment pipeline: tells Driftline which version serves."""

from driftline.client import KafkaSettings, announce


def main(kafka: KafkaSettings | str = "kafka:9092", request: str | None = None) -> None:
    announce(kafka, "registered", "flights", "8")
    announce(kafka, "deployed", "flights", "8", request=request)
    announce(kafka, "rolled_back", "flights", "8")
    announce(kafka, "retired", "flights", "6")


if __name__ == "__main__":
    main()
