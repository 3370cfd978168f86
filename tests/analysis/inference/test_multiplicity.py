import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from analysis.inference.multiplicity import HolmStep, holm


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_the_rejections_are_those_of_statsmodels(size: int, alpha: float) -> None:
    p = np.random.default_rng(size).beta(0.3, 3, size)  # many small ones
    theirs, *_ = multipletests(p, alpha=alpha, method="holm")
    assert [step.rejected for step in holm(dict(enumerate(p.tolist())), alpha).values()] == list(theirs)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_decision_agrees_with_the_level_its_interval_is_shown_at(p: list[float]) -> None:
    ours = holm(dict(enumerate(p)), 0.05)
    assert all(step.rejected == (p[i] <= step.level) for i, step in ours.items())


def test_levels_step_down_and_the_rest_share_the_failed_step() -> None:
    assert holm({"a": 0.04, "b": 0.001, "c": 0.3, "d": 0.014}, 0.05) == {
        "a": HolmStep(0.05 / 2, rejected=False),
        "b": HolmStep(0.05 / 4, rejected=True),
        "c": HolmStep(0.05 / 2, rejected=False),
        "d": HolmStep(0.05 / 3, rejected=True),
    }


def test_no_tests_no_steps() -> None:
    assert holm({}, 0.05) == {}
