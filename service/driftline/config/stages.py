"""What the stages do: how events are taken, joined, judged, and what is detected."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from driftline.config.base import Number, Section, Stage, Whole, parsed, section, setting
from driftline.contracts.mapping import FieldMapping, KindAt
from driftline.stats.detector_rules import detector_of
from driftline.stats.distance_rules import distance_rule_of
from driftline.stats.limit_rules import METRICS, limit_of

INGEST: Final[tuple[Stage, ...]] = ("ingest",)
JUDGE: Final[tuple[Stage, ...]] = ("judge",)
Detector = Literal["cbe", "adwin", "page_hinkley"]


class Limits(Section):
    """What one producer may cost."""

    max_bytes: Whole = setting(
        262_144,
        "Largest event, bytes. Larger ones are refused unread.",
        ge=1024,
        le=16_777_216,
        affects=INGEST,
    )
    max_features: Whole = setting(2_000, "Most features of one event.", ge=1, le=100_000, affects=INGEST)
    dead_letters_per_s: Number = setting(
        500.0, "Refusals a second and partition; above it the partition pauses, and says so.", gt=0, le=1_000_000
    )
    dead_letter_burst: Whole = setting(10_000, "Refusals allowed at once before that.", ge=1, le=100_000_000)


EventKind = Literal["prediction", "outcome"]
FeaturePaths = Annotated[str | tuple[str, ...], BeforeValidator(parsed)]


class Mapping(Section):
    """Foreign JSON: where our fields are found in it. A path is names joined by dots (`payload.score`)."""

    kind: EventKind | None = setting(None, "What every record is; or else give `kind_path`.", affects=INGEST)
    kind_path: str | None = setting(None, "Path of the value that tells predictions from outcomes.", affects=INGEST)
    kind_values: Annotated[dict[str, EventKind], BeforeValidator(parsed)] = setting(
        {}, "What the value at `kind_path` says for each: `{scored: prediction, truth: outcome}`.", affects=INGEST
    )
    id: str = setting(..., "Path of the event's id.", affects=INGEST)
    time: str = setting(..., "Path of the event's time.", affects=INGEST)
    time_unit: Literal["s", "ms", "us", "ns"] = setting("ms", "Unit of numeric times.", affects=INGEST)
    model: str | None = setting(None, "Path of the model's name.", affects=INGEST)
    version: str | None = setting(None, "Path of the model's version.", affects=INGEST)
    features: FeaturePaths | None = setting(
        None, "Path of the object of features, or a list of paths, or `*` for all other fields.", affects=INGEST
    )
    prediction: str | None = setting(None, "Path of the prediction.", affects=INGEST)
    score: str | None = setting(None, "Path of the score.", affects=INGEST)
    outcome: str | None = setting(None, "Path of the outcome.", affects=INGEST)
    latency_ms: str | None = setting(None, "Path of the latency.", affects=INGEST)
    constants: Annotated[dict[str, str | bool | int | float], BeforeValidator(parsed)] = setting(
        {}, "Values of fields that no path leads to: `{model: fraud, version: '3'}`.", affects=INGEST
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.kind is None) == (self.kind_path is None):
            raise ValueError("give either kind or kind_path, not both")
        if self.kind_path is not None and not self.kind_values:
            raise ValueError("kind_path is given: say in kind_values what is found there")
        self.compiled()
        return self

    def compiled(self) -> FieldMapping:
        """What the decoder takes. ValueError where a needed field has neither a path nor a constant."""
        kind = self.kind or KindAt(path=self.kind_path or "", values=self.kind_values)
        given = {name: getattr(self, name) for name in type(self).model_fields if not name.startswith("kind")}
        return FieldMapping(kind=kind, **given)


class Ingest(Section):
    """From events to blocks."""

    lateness_s: Number = setting(
        5.0,
        "How much later than its fellows an event may come and still be in time, seconds.",
        ge=0,
        le=86_400,
        affects=INGEST,
    )
    idle_after_s: Number = setting(
        10.0, "A partition without news for so long no longer holds back the others' verdicts.", ge=1, le=3_600
    )
    future_s: Number = setting(
        60.0,
        "An event further ahead of the broker's clock than this is refused.",
        ge=1,
        le=86_400,
        affects=INGEST,
    )
    max_batch: Whole = setting(50_000, "Most records folded at once.", ge=1, le=1_000_000)
    poll_ms: Whole = setting(250, "How long to wait for more records, milliseconds.", ge=1, le=10_000)
    max_bundle_bytes: Whole = setting(
        900_000,
        "Largest record on `blocks`; keep it below the broker's message.max.bytes.",
        ge=10_000,
        le=100_000_000,
    )
    on_fold_error: Literal["deadletter", "pause"] = setting(
        "deadletter",
        "A record that our own code fails on: dead-letter it, or pause its partition.",
        affects=INGEST,
    )
    limits: Limits = section(Limits, "What one producer may cost.")
    mapping: Mapping | None = setting(None, "Where to find our fields in foreign JSON.")


class Join(Section):
    """Outcomes to predictions."""

    enabled: bool = setting(True, "Whether outcomes are joined to predictions.", affects=INGEST)
    days: Whole = setting(
        30,
        "Days (of event time) that a prediction waits for its outcome, and is known as a duplicate.",
        ge=1,
        le=400,
        affects=INGEST,
    )


class RollingReference(Section):
    """References that follow a model's world, and do not learn its drift."""

    every_days: Number = setting(
        0.0, "A reference is learnt anew every so many days of event time; 0: never.", ge=0, le=3_650, affects=JUDGE
    )
    window_days: Number = setting(14.0, "From the last so many days.", ge=0.01, le=3_650, affects=JUDGE)
    max_evidence: Number = setting(
        0.1,
        "Not while a monitor has more than this share of the evidence it takes to alarm.",
        gt=0,
        le=1,
        affects=JUDGE,
    )
    max_distance: Number = setting(
        0.1,
        "Not where a column, or what columns do together, would be further than this from the first reference, in "
        "total variation.",
        gt=0,
        le=1,
        affects=JUDGE,
    )


class Judge(Section):
    """From blocks to signals."""

    reference_events: Whole = setting(
        10_000, "Events a new model's reference is learnt from.", ge=500, le=10_000_000, affects=JUDGE
    )
    reference_pairs: Whole = setting(
        1_000, "Joined pairs the reference of its errors is learnt from.", ge=100, le=10_000_000, affects=JUDGE
    )
    new_version: Literal["first_events", "previous_version", "training"] = setting(
        "first_events",
        "What a version without a reference is judged by: its own first events; what its predecessor showed, until "
        "it has its own; or nothing, until `driftline reference build` gives it one.",
        affects=JUDGE,
    )
    rolling: RollingReference = section(RollingReference, "Learn references anew as time goes by.")
    max_models_per_partition: Whole = setting(
        256,
        "Model versions a partition of `blocks` takes on by itself. Further ones are counted and refused.",
        ge=1,
        le=100_000,
        affects=JUDGE,
    )
    invalid_share: Number = setting(
        0.01,
        "An alarm when more than this share of the records of an input partition is refused.",
        gt=0,
        lt=1,
        affects=JUDGE,
    )
    on_gap: Literal["stop", "continue"] = setting(
        "stop", "A range missing from the ledger: stop and say so, or go on and say so.", affects=JUDGE
    )


class Pager(Section):
    """Which detector raises alarms; the others annotate."""

    features: Detector = setting("cbe", "Of features, scores and predictions.", affects=JUDGE)
    errors: Detector = setting("cbe", "Of errors and losses.", affects=JUDGE)


def _sound_limit(given: dict[str, Any]) -> dict[str, Any]:
    limit_of(given)
    return given


def _sound_detector(given: dict[str, Any]) -> dict[str, Any]:
    detector_of(given)
    return given


def _sound_threshold(given: dict[str, Any]) -> dict[str, Any]:
    distance_rule_of(given)
    return given


Limitations = Annotated[
    tuple[Annotated[dict[str, Any], AfterValidator(_sound_limit)], ...], BeforeValidator(parsed)
]
Detectors = Annotated[
    tuple[Annotated[dict[str, Any], AfterValidator(_sound_detector)], ...], BeforeValidator(parsed)
]


Thresholds = Annotated[
    tuple[Annotated[dict[str, Any], AfterValidator(_sound_threshold)], ...], BeforeValidator(parsed)
]


class Detection(Section):
    """What an alarm is."""

    arl0_days: Number = setting(
        30.0,
        "At most one false alarm a model version in so many days, on average, however many features it has.",
        gt=0,
        le=36_500,
        affects=JUDGE,
    )
    arl0_events: Number | None = setting(
        None,
        "In place of `arl0_days`: at most one false alarm a model version in so many events.",
        gt=0,
        le=1e12,
        affects=JUDGE,
    )
    fleet_models: Whole | None = setting(
        None,
        "Of how many model versions judged at a time the budget is: at most one false alarm among all of them in "
        "`arl0_days` (or in the time in which they have `arl0_events` each, on average). Without it, one of each. "
        "Name as many as you will ever watch at once; with more the promise is weaker in proportion, and "
        "`DriftlineFleetLarger` says so.",
        ge=1,
        le=1_000_000,
        affects=JUDGE,
    )
    min_effect_sd: Number = setting(
        0.05, "Smallest change of a feature worth a page, standard deviations.", ge=0, le=10, affects=JUDGE
    )
    min_rate_effect: Number = setting(
        0.02, "Smallest change of a share or an error rate worth a page.", ge=0, lt=1, affects=JUDGE
    )
    coalesce: Whole = setting(
        30, "Panes are judged together until they hold so many events.", ge=1, le=1_000_000, affects=JUDGE
    )
    season: Literal["auto", "none", "daily", "weekly"] = setting(
        "auto",
        "What is taken out of a column whose reference holds four periods of it: the season there is evidence of, "
        "none, or the one named. By the clock of UTC.",
        affects=JUDGE,
    )
    multivariate: bool = setting(
        True,
        "Whether new references learn what features do together: finds correlations that change while every feature "
        "alone stays as it was.",
        affects=JUDGE,
    )
    pager: Pager = section(Pager, "Which detector raises alarms.")
    limits: Limitations = setting(
        (),
        "Hard limits: `[{model: 'churn*', metric: false_negative_rate, at_most: 0.005, min_count: 200}]`. Metrics: "
        f"{', '.join(METRICS)}; with `column` and `value` where they need them; ratios with the `segment` whose values "
        "are compared, two by two: `{metric: recall_ratio, segment: sex, at_least: 0.8}`, where of any two values the "
        "smaller recall is to be at least 0.8 times the larger. recall_ratio is equal opportunity, with "
        "false_positive_rate_ratio equalised odds, positive_rate_ratio demographic parity, precision_ratio predictive "
        "parity. For ratios on outcomes the join remembers these segments of a prediction; an outcome that repeats its "
        "prediction has to repeat them too. All limits of a model together raise at most one false alarm in "
        "`arl0_days`, beside that of its monitors (with `fleet_models`: all limits of the fleet).",
        affects=("ingest", "judge"),
    )
    detectors: Detectors = setting(
        (),
        "Further detectors of river: `[{monitor: 'features.*:distribution', detector: "
        "'river.drift.KSWIN(alpha=0.001)', role: annotate}]`. `role: page` raises alarms too, which no budget bounds.",
        affects=JUDGE,
    )
    distances: Thresholds = setting(
        (),
        "Fixed thresholds on conventional distances, for those whose rules ask for them: `[{distance: psi, above: 0.2, "
        "column: 'features.*', events: 1000}]`. Distances: psi, js, ks, wasserstein_sd; each of batches of so many "
        "values. No budget bounds these alarms; one that chance comes near is not judged, as `driftline explain` says.",
        affects=JUDGE,
    )
    importance: Annotated[dict[str, float], BeforeValidator(parsed)] = setting(
        {},
        "How much a column's drift matters beside others', by pattern of its name: `{features.income: 3}`. Orders what "
        "is shown; 1 without.",
        affects=JUDGE,
    )
    positive_class: Annotated[dict[str, str], BeforeValidator(parsed)] = setting(
        {},
        "The outcome that counts as positive, by pattern of the model's name: `{'churn*': left}`. Without: 1 and true.",
        affects=("ingest", "judge"),
    )

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.arl0_events is not None and "arl0_days" in self.model_fields_set:
            raise ValueError("give either arl0_days or arl0_events, not both: the budget of alarms has one unit")
        return self


class Http(Section):
    """Where `/metrics`, `/healthz` and `/readyz` are served."""

    enabled: bool = setting(True, "Whether to serve them.")
    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.", min_length=1)
    port: Whole = setting(9464, "Port; 0 takes a free one, named in the log.", ge=0, le=65_535)


class Runtime(Section):
    """How the process behaves."""

    on_log_gap: Literal["stop", "earliest"] = setting(
        "stop", "Records that we must read are gone: stop, or go on from the earliest there is. Both say so."
    )
    revoke_deadline_s: Number = setting(
        5.0, "How long the work in hand may take when a partition is handed over, seconds.", gt=0, le=300
    )
    watchdog_s: Number = setting(
        60.0, "Work but no progress for so long makes the process unhealthy, seconds.", ge=1, le=3_600
    )
    http: Http = section(Http, "Metrics and health over HTTP.")


class Logging(Section):
    """What is logged, to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting("INFO", "The least that is logged.")
    format: Literal["json", "text"] = setting("json", "One JSON object a line, or text for people.")
