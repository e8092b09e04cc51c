"""What users import: an event logger for serving code, and a subscriber for retraining jobs.

`EventLogger` tells Driftline what models answered and what turned out to be true. `RetrainingSubscriber` (or `run`)
takes retraining requests and answers them. `LifecycleReporter` (or `announce`) tells what was deployed, rolled back
or retired. docs/clients.md has examples.
"""

from driftline.client.buffer import Counts
from driftline.client.lifecycle import LifecycleReporter, announce
from driftline.client.logger import EventLogger
from driftline.client.request import Job, RetrainingRequest
from driftline.client.subscriber import RetrainingSubscriber, run
from driftline.contracts.reactions import RetrainingRequested, Window
from driftline.contracts.records import Lifecycle
from driftline.runtime.kafka import KafkaSettings

__all__ = [
    "Counts",
    "EventLogger",
    "Job",
    "KafkaSettings",
    "Lifecycle",
    "LifecycleReporter",
    "RetrainingRequest",
    "RetrainingRequested",
    "RetrainingSubscriber",
    "Window",
    "announce",
    "run",
]
