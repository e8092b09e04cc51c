"""How the alarm budget of a model is shared."""

from __future__ import annotations

import pytest

from driftline.stats.budget import weights

ERRORS = ("error:rate", "loss:distribution")
OUTPUTS = ("prediction:distribution", "score:distribution")
FEATURES = tuple(f"features.x{i}:distribution" for i in range(20))
QUALITY = (*(f"features.x{i}:quality" for i in range(20)), "pairs:freshness")


def share(*monitors: str) -> dict[str, float]:
    return weights({monitor: monitor for monitor in monitors})


def test_errors_have_a_third_outputs_a_sixth_features_four_tenths_quality_one() -> None:
    found = share(*ERRORS, *OUTPUTS, *FEATURES, *QUALITY)
    assert sum(found.values()) == pytest.approx(1.0)
    for monitors, part in ((ERRORS, 1 / 3), (OUTPUTS, 1 / 6), (FEATURES, 0.4), (QUALITY, 0.1)):
        assert sum(found[m] for m in monitors) == pytest.approx(part)
        assert len({found[m] for m in monitors}) == 1


def test_many_score_columns_do_not_make_the_error_wait() -> None:
    """The share of the error is the same for two classes and for twenty.

    Mutation: one kind for errors and outputs."""
    few = share("error:rate", *OUTPUTS, *FEATURES)
    many = share(
        "error:rate", "prediction:distribution", *(f"scores.{i}:distribution" for i in range(20)), *FEATURES
    )
    assert many["error:rate"] == pytest.approx(few["error:rate"])


@pytest.mark.parametrize("present", [ERRORS, OUTPUTS])
def test_what_is_absent_leaves_its_part_to_the_other_of_the_models_two(present: tuple[str, ...]) -> None:
    found = share(*present, *FEATURES, *QUALITY)
    assert sum(found[m] for m in present) == pytest.approx(0.5)


def test_features_alone_have_all() -> None:
    assert share(*FEATURES) == pytest.approx(dict.fromkeys(FEATURES, 0.05))
