"""A reference from history: the events of a model version between two times, read again from the topic of events.

Rows are needed, so what the topic has let go of is out of reach: then a file of them has to be given. Pairs are those
whose outcome came within the time; the first label delay of it is left out, because the first pairs are the fast ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Outcome, Prediction
from driftline.errors import Misconfigured, Poison
from driftline.ingest.columns import FeatureColumns, prediction_rows
from driftline.ingest.pairs import Pair, pair_rows
from driftline.runtime.log import LogReader
from driftline.stats.grid import choose_pane_ms
from driftline.stats.limit_rules import segments_of
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section, settled_rows
from driftline.stats.settings import DetectionSettings, positive_of

CHUNK: Final = 20_000
Told = Callable[[int, int], None]
"""Called with (records read, records there are)."""


@dataclass
class History:
    """What was found; `earliest`: the oldest event of any model in a partition that has let records go."""

    predictions: dict[str, Prediction] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    earliest: int | None = None


async def read_history(
    reader: LogReader, topic: str, decoder: Decoder, model: str, version: str, start: int, to: int, told: Told
) -> History:
    """The events of one model version with start <= time < to (ms). The first prediction and outcome of an id count.
    Transient passes through."""
    found = History()
    bounds = await reader.bounds(topic)
    total = sum(b.end - b.begin for b in bounds.values())
    done = 0
    for partition, b in sorted(bounds.items()):
        for first in range(b.begin, b.end, CHUNK):
            records = await reader.read(topic, partition, first, min(first + CHUNK, b.end))
            for record in records:
                try:
                    event = decoder.decode(record.value, record.headers)
                except Poison:
                    continue
                if b.begin > 0:
                    found.earliest = event.time if found.earliest is None else min(found.earliest, event.time)
                if event.model != model or not start <= event.time < to:
                    continue
                if isinstance(event, Prediction):
                    found.versions.add(event.version)
                    if event.version == version:
                        found.predictions.setdefault(event.id, event)
                elif event.version in (None, version):
                    found.outcomes.setdefault(event.id, event)
            done += min(first + CHUNK, b.end) - first
            told(done, total)
    return found


def history_profile(
    history: History, *, model: str, version: str, start: int, to: int, created: int, settings: DetectionSettings
) -> Profile:
    """The profile of what was found. Misconfigured, saying what to do, where it cannot be learnt."""
    settings = settings.for_model(model)
    if history.earliest is not None and history.earliest > start:
        raise Misconfigured(
            f"the topic holds events from {_shown(history.earliest)} on: those from {_shown(start)} on are gone. "
            f"Take a later --from, or `driftline reference build FILE` with the rows"
        )
    if not history.predictions:
        known = f"; there are of {', '.join(sorted(history.versions))}" if history.versions else ""
        raise Misconfigured(
            f"no prediction of {model} {version} from {_shown(start)} to {_shown(to)}{known}. Times are event times"
        )
    positive = positive_of(settings.positive_class, model)
    events, segments = list(history.predictions.values()), segments_of(settings.limits, PREDICTIONS)
    rows = prediction_rows(events, FeatureColumns(None), True, segments, positive).sorted()
    pane = choose_pane_ms(rows.times)
    pairs = pair_rows(_pairs(history, model, version), True, positive, segments_of(settings.limits, PAIRS))
    predictions = learn_section(PREDICTIONS, rows, pane, settings)
    return make_profile(
        model=model,
        version=version,
        source="time_range",
        created=created,
        judged_from=0,
        predictions=predictions,
        pairs=learn_section(PAIRS, pairs, pane, settings, from_first_events=True, scores=predictions.scores)
        if pairs.n and settled_rows(pairs).n
        else None,
    )


def _pairs(history: History, model: str, version: str) -> list[Pair]:
    pairs = []
    for id_, outcome in history.outcomes.items():
        made = history.predictions.get(id_)
        if made is None and outcome.prediction is None:
            continue
        said, score = (made.prediction, made.score) if made else (outcome.prediction, outcome.score)
        at = made.time if made else outcome.time
        segments = (made or outcome).segments
        pairs.append(Pair(model, version, id_, 0, at, outcome.time, said, score, outcome.outcome, segments))
    return pairs


def _shown(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
