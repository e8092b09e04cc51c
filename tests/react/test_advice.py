"""What is advised: keep, investigate, retrain, roll back, retire."""

from __future__ import annotations

import msgspec

from driftline.contracts.reactions import Fact
from driftline.contracts.records import UnitChange
from driftline.react.settings import ReactSettings
from react.hearing import AT_ONCE
from react.making import DAY, HOUR, MINUTE, Told, alerts, by_hand, signal, tick, told

LABELLED = Fact(model="m", version="1", labelled=True)


def last(run: Told) -> str:
    return alerts(run.said)[-1].advice


def test_what_is_broken_is_mended_where_it_is_made() -> None:
    run = Told(ReactSettings(retrain=False, upstream={"txn_*": "the payments feed"}))
    run.take(signal("features.txn_sum:quality"))
    assert last(run).startswith("Investigate: look at the pipeline that fills the payments feed.")
    run.take(signal("error:rate", at=MINUTE))
    assert last(run).startswith("Investigate: look at the pipeline that fills the payments feed first")
    run.take(signal("features.age:distribution", at=2 * MINUTE))
    assert last(run).startswith("Investigate: look at the pipeline that fills the payments feed first")


def test_no_events_are_looked_for_where_they_are_sent() -> None:
    run = Told(AT_ONCE)
    run.take(signal("predictions:silence"))
    assert "what sends the events" in last(run)


def test_drift_without_errors_is_kept_and_without_outcomes_looked_into() -> None:
    run = Told(AT_ONCE)
    run.take(signal("features.a:distribution"))
    assert last(run).startswith("Investigate: look at the pipeline that fills a;")
    run = Told(AT_ONCE)
    run.take(
        signal("error:rate"), signal("error:rate", 2, "resolved", at=1), signal("features.a:distribution", at=2)
    )
    assert last(run).startswith("Keep: the errors have not moved.")


def test_another_unit_is_named() -> None:
    run, made = Told(AT_ONCE), signal("features.a:distribution")
    assert made.effect is not None
    effect = msgspec.structs.replace(made.effect, unit_change=UnitChange(scale=1_000.0, offset=0.0))
    run.take(msgspec.structs.replace(made, effect=effect))
    assert last(run).startswith("Investigate: a looks like another unit")


def test_errors_are_retrained_away_with_data_since_their_onset() -> None:
    run = Told(AT_ONCE)
    run.take(signal("error:rate"))
    assert last(run) == "Retrain on data since 14 November 2023 21:13 UTC."
    run.take(by_hand(), signal("loss:distribution", at=HOUR))
    assert last(run).endswith("It has been asked for.")
    run.take(signal("features.a:distribution", at=HOUR))
    assert last(run).startswith("Retrain on data since 14 November 2023 21:13 UTC: the errors have risen too.")


def test_errors_that_came_with_a_deployment_are_rolled_back() -> None:
    run = Told(AT_ONCE)
    run.take(tick(0), signal("features.a:distribution"), told("deployed", version="2"))
    run.take(signal("error:rate", version="2", at=2 * HOUR))
    assert last(run).startswith("Roll back to 1: the errors rose within a day")
    run = Told(AT_ONCE)
    run.take(tick(0), signal("features.a:distribution"), told("deployed", version="2"))
    run.take(signal("error:rate", version="2", at=3 * DAY))
    assert last(run).startswith("Retrain")


def test_a_model_that_retraining_does_not_help_is_past_it() -> None:
    run = Told(ReactSettings(retrain=False, budget=1))
    run.take(tick(0), by_hand(version="1"), told("retraining.failed", version="1"), signal("error:rate", at=MINUTE))
    assert any(a.advice.startswith("Retire it") for a in alerts(run.said) if a.cause == "performance")


def test_predictions_are_judged_by_what_else_is_known() -> None:
    run = Told(AT_ONCE)
    run.take(signal("prediction:distribution"))
    assert last(run).startswith("Investigate: no outcomes")
    run.take(signal("features.a:distribution", at=1), signal("score:distribution", at=HOUR))
    assert last(run).startswith("Investigate: its inputs have moved too")
    run = Told(AT_ONCE)
    run.take(signal("features.a:schema", 1, "resolved"), tick(1, LABELLED), signal("prediction:distribution", at=2))
    assert last(run).startswith("Keep: its errors have not moved.")


def test_nothing_is_advised_of_what_is_over() -> None:
    run = Told(AT_ONCE)
    run.take(signal("error:rate"), signal("error:rate", 2, "resolved", at=1))
    assert last(run) == ""
