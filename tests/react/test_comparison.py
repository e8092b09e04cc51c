"""Did retraining help? Said of whole days, never against the days that raised the alarm, and rarely by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from driftline.contracts.reactions import Alert, Day, Fact
from driftline.react.settings import ReactSettings
from react.making import DAY, HOUR, T0, Told, alerts, requests, signal, tick, told

SETTINGS = ReactSettings(compare_pairs=500, compare_days=7)
FIRST = T0 // DAY * DAY
"""The day of the alarm."""


def days(errors: Mapping[int, tuple[int, float]]) -> list[Day]:
    """By day since the alarm's: (pairs, share of errors)."""
    return [Day(start=FIRST + d * DAY, n=n, total=round(n * share)) for d, (n, share) in sorted(errors.items())]


def fact(version: str, held: list[Day], column: str = "error", delay: int | None = None) -> Fact:
    return Fact(
        model="m",
        version=version,
        labelled=True,
        column=column,
        days=held,
        reference=0.1,
        label_delay_ms=delay,
    )


def level(first: int, count: int, share: float, n: int = 300) -> dict[int, tuple[int, float]]:
    """Days around a level, up and down."""
    return {first + i: (n, share * (1.1 if i % 2 else 0.9)) for i in range(count)}


def asked(deployed_after: int = 14) -> Told:
    """An alarm on day 0 asks; `deployed_after` days later the new version is deployed."""
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate")))
    run.take(tick(deployed_after * DAY))
    run.take(told("deployed", request=request.id))
    return run


def verdict(run: Told, *facts: Fact, at: int = 40 * DAY) -> Alert:
    (alert,) = [a for a in alerts(run.take(tick(at, *facts))) if "verdict" in a.details]
    return alert


@pytest.mark.parametrize(
    ("after", "words"),
    [(0.1, "Retraining helped"), (0.23, "not clearly helped"), (0.28, "not clearly"), (0.5, "made it worse")],
)
def test_against_the_days_after_the_request(after: float, words: str) -> None:
    storm = level(-4, 5, 0.4)
    alert = verdict(asked(), fact("1", days(storm | level(1, 13, 0.25))), fact("2", days(level(15, 7, after))))
    assert words in alert.sentence
    assert alert.details["basis"] == "since_request"
    assert alert.details["error_before"] == pytest.approx(0.25, abs=0.01)
    assert "The reference of m 1 has 10.0 %" in alert.sentence
    assert "2,100 pairs on 7 days" in alert.sentence


def test_the_days_of_the_alarm_prove_nothing() -> None:
    """Deployed on the day of the request: there is nothing but the storm to compare with.

    Mutation: let Compared.verdict say helped whatever the basis."""
    alert = verdict(asked(0), fact("1", days(level(-6, 7, 0.5))), fact("2", days(level(1, 7, 0.1))))
    assert alert.details["basis"] == "since_onset"
    assert (alert.details["verdict"], alert.severity) == ("lower", "info")
    assert "may be chance" in alert.sentence
    assert "even when nothing is done" in alert.sentence
    assert "helped" not in alert.sentence
    worse = verdict(asked(0), fact("1", days(level(-6, 7, 0.1))), fact("2", days(level(1, 7, 0.5))))
    assert worse.details["verdict"] == "worse"


def test_on_the_same_days_the_weather_falls_out() -> None:
    wild = {15 + i: share for i, share in enumerate((0.1, 0.6, 0.2, 0.7, 0.1, 0.5, 0.3))}
    old = days({d: (300, s) for d, s in wild.items()})
    new = days({d: (300, 0.7 * s) for d, s in wild.items()})
    alert = verdict(asked(), fact("1", days(level(1, 13, 0.25)) + old), fact("2", new))
    assert alert.details["basis"] == "same_days"
    assert "Retraining helped" in alert.sentence
    assert "on the same days" in alert.sentence


def test_late_labels_of_the_former_version_are_no_canary() -> None:
    late = days(level(15, 7, 0.9, n=100))
    old, new = fact("1", days(level(1, 13, 0.25)) + late), fact("2", days(level(15, 7, 0.1, n=10_000)))
    assert verdict(asked(), old, new).details["basis"] == "since_request"


def test_where_nobody_asked_the_weeks_before_count() -> None:
    run = Told(SETTINGS)
    run.take(signal("features.a:distribution"), told("deployed"))
    alert = verdict(run, fact("1", days(level(-20, 20, 0.3))), fact("2", days(level(1, 7, 0.1))))
    assert alert.details["basis"] == "before_deployment"
    assert alert.sentence.startswith("Deploying m 2 helped")


def test_an_alarm_that_nobody_asked_for_is_one_all_the_same() -> None:
    run = Told(ReactSettings(retrain=False))
    run.take(signal("error:rate"), told("deployed"))
    alert = verdict(run, fact("1", days(level(-20, 21, 0.3))), fact("2", days(level(1, 7, 0.1))))
    assert alert.details["basis"] == "since_onset"


def test_it_waits_for_pairs_and_for_days() -> None:
    run, old = asked(), fact("1", days(level(1, 13, 0.25)))
    many = fact("2", days(level(15, 6, 0.1, n=5_000)))
    thin = fact("2", days(level(15, 9, 0.1, n=50)))
    assert run.take(tick(30 * DAY, old, many), tick(31 * DAY, old, thin)) == []
    ten = fact("2", days(level(15, 12, 0.1, n=50)))
    assert verdict(run, old, ten).details["days_after"] == 10


def test_the_last_day_has_to_be_over() -> None:
    run, facts = asked(), (fact("1", days(level(1, 13, 0.25))), fact("2", days(level(15, 7, 0.1))))
    assert run.take(tick(22 * DAY - (T0 - FIRST) - 1, *facts)) == []
    assert "helped" in verdict(run, *facts, at=22 * DAY - (T0 - FIRST)).sentence


def test_it_does_not_matter_when_the_question_is_asked() -> None:
    """Mutation: compare all days there are instead of the first that suffice."""
    old = fact("1", days(level(1, 13, 0.25)))
    early = verdict(asked(), old, fact("2", days(level(15, 7, 0.1))), at=23 * DAY)
    late = verdict(asked(), old, fact("2", days(level(15, 7, 0.1) | level(22, 20, 0.6))), at=50 * DAY)
    assert early == late


def test_labels_that_take_long_are_waited_for() -> None:
    """Until one p99 label delay after the deployment, only quick labels have come."""
    run, old = asked(), fact("1", days(level(1, 13, 0.25)), delay=5 * DAY)
    quick = fact("2", days(level(15, 7, 0.6)), delay=HOUR)
    assert run.take(tick(23 * DAY, old, quick)) == []
    settled = fact("2", days(level(15, 5, 0.6) | level(20, 7, 0.1)), delay=HOUR)
    assert "Retraining helped" in verdict(run, old, settled).sentence


def test_it_is_not_waited_for_ever() -> None:
    run, few = asked(), fact("2", days(level(15, 5, 0.1)))
    assert run.take(tick(60 * DAY, few)) == []
    alert = verdict(run, few, at=90 * DAY)
    assert alert.details == {"verdict": "unknown"}
    assert "stays open: only 1,500 pairs have come in 60 days" in alert.sentence
    assert run.state.models["m"].comparison is None


def test_another_deployment_or_the_end_of_it_ends_the_waiting() -> None:
    for what, version, words in (
        ("deployed", "3", "3 was deployed in its place"),
        ("rolled_back", "2", "it was rolled back"),
        ("retired", "2", "it was retired"),
    ):
        run = asked()
        said = alerts(run.take(told(what, version=version)))  # type: ignore[arg-type]
        assert words in "".join(a.sentence for a in said if "verdict" in a.details)


def test_other_columns_are_not_compared() -> None:
    alert = verdict(asked(), fact("1", days(level(1, 13, 0.2)), "loss"), fact("2", days(level(15, 7, 0.1))))
    assert "Nothing is known to compare" in alert.sentence


def world(rng: np.random.Generator, count: int, before: float, after: float, switch: int) -> Sequence[Day]:
    """Days of 300 pairs whose error depends on the weather, which a day shares in part with the day before."""
    found, weather = [], float(rng.normal(0, 0.35))
    for i in range(count):
        share = after if i >= switch else before
        odds = math.log(share / (1 - share)) + weather
        weather = 0.3 * weather + float(rng.normal(0, 0.35 * math.sqrt(1 - 0.09)))
        n = int(rng.poisson(300)) + 1
        found.append(
            Day(start=FIRST + (i - 30) * DAY, n=n, total=float(rng.binomial(n, 1 / (1 + math.exp(-odds)))))
        )
    return found


def told_of(rng: np.random.Generator, after: float, deployed_after: int) -> str:
    """The verdict where an alarm is raised by the worst three days of thirty, and then a version is deployed."""
    held = world(rng, 80, 0.2, after, 80)
    worst = max(
        range(5, 30), key=lambda i: sum(d.total for d in held[i - 3 : i]) / sum(d.n for d in held[i - 3 : i])
    )
    held = [Day(start=d.start + (30 - worst) * DAY, n=d.n, total=d.total) for d in held]
    switch = FIRST + (deployed_after + 1) * DAY
    later = world(rng, 40, after, after, 0)
    new = [Day(start=switch + i * DAY, n=d.n, total=d.total) for i, d in enumerate(later)]
    run = asked(deployed_after)
    alert = verdict(run, fact("1", [d for d in held if d.start < switch]), fact("2", new), at=70 * DAY)
    return str(alert.details["verdict"])


@pytest.mark.parametrize("deployed_after", [0, 2, 14])
def test_regression_to_the_mean_is_no_help(deployed_after: int) -> None:
    """Retraining does nothing, the alarm came of the worst days: "helped" is said in at most 3 of 100 worlds.

    Mutation: take `since_onset` for what no alarm has chosen; it "helps" in most worlds."""
    rng = np.random.default_rng(11)
    verdicts = [told_of(rng, 0.2, deployed_after) for _ in range(300)]
    assert verdicts.count("helped") / 300 <= 0.03
    assert verdicts.count("worse") / 300 <= 0.05


def test_a_halving_is_told_within_a_week_mostly() -> None:
    rng = np.random.default_rng(12)
    verdicts = [told_of(rng, 0.1, 14) for _ in range(200)]
    assert verdicts.count("helped") / 200 >= 0.75
    assert verdicts.count("worse") == 0
