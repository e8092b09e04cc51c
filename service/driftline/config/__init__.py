"""The configuration: `load` it once, pass it on, never look anything up elsewhere."""

from driftline.config.connections import Kafka, Redis
from driftline.config.load import Loaded, load
from driftline.config.model import Config
from driftline.config.stages import Detection, Ingest, Join, Judge, Logging, Mapping, Runtime
from driftline.config.topics import Topics

__all__ = [
    "Config",
    "Detection",
    "Ingest",
    "Join",
    "Judge",
    "Kafka",
    "Loaded",
    "Logging",
    "Mapping",
    "Redis",
    "Runtime",
    "Topics",
    "load",
]
