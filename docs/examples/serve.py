"""A model server that tells Driftline what it answers. The same in Flask, Django, or a gRPC servicer."""

from driftline.client import EventLogger, KafkaSettings


def score_of(features: dict[str, float]) -> float:
    return min(1.0, 0.1 + 0.01 * features["distance"])


class Server:
    def __init__(self, kafka: KafkaSettings | str) -> None:
        self.events = EventLogger(kafka)  # one a process; before or after the server forks its workers

    def predict(self, id: str, features: dict[str, float]) -> float:
        score = score_of(features)
        self.events.log_prediction(
            model="flights", version="7", id=id, features=features, prediction=score > 0.5, score=score
        )
        return score

    def truth(self, id: str, late: bool) -> None:
        """Hours or weeks later."""
        self.events.log_outcome(model="flights", id=id, outcome=late)


def main(kafka: KafkaSettings | str = "kafka:9092") -> None:
    server = Server(kafka)
    server.predict("order-1", {"distance": 81.5})
    server.truth("order-1", True)
    server.events.close()  # at shutdown: sends what is queued, for at most 10 seconds
    print(server.events.counts())


if __name__ == "__main__":
    main()
