from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from analysis.inference.designs import critical_value, student_p
from analysis.inference.result import Bounds, Contrast, Undetermined
from analysis.inference.segments import FEWEST, Cell, CellReading, Setting, read_slice, shrink
from tests.helpers.contrasts import contrast_of

SETTING = Setting(alpha=0.05, look="planned_look", fraction=1.0, material=20.0, days=14, days_left=28)
PER_1000 = 10.0  # cents to euros per 1,000 units


def lift(delta: float, se: float, control: float = 200.0) -> Contrast:
    """On a control mean of 2 euros that is known almost exactly: a lift of 1 is worth 2,000 per 1,000 units."""
    return contrast_of(control, control * (1 + delta), se_c=control * 1e-6, se_t=control * se, dof=1e6)


def cells(lifts: dict[str, tuple[float, float]]) -> dict[str, Cell]:
    return {name: Cell(lift(*known), PER_1000) for name, known in lifts.items()}


def test_shrinking_is_the_posterior_found_by_brute_force() -> None:
    """The same model by quadrature over μ and τ on the joint density, no closed form used."""
    lifts, variances = np.array([0.04, -0.03, 0.10, 0.01, 0.02, -0.06, 0.05]), np.array([4, 9, 16, 1, 25, 4, 9]) * 1e-4
    posterior = shrink(lifts, variances)
    tau = np.linspace(0, 4 * np.median(np.sqrt(variances)), 201)[:, None, None]
    mu = np.linspace(-0.6, 0.6, 4001)[None, :, None]
    total = variances + tau**2
    log_density = (-0.5 * np.log(total) - (lifts - mu) ** 2 / (2 * total)).sum(axis=2)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean_given = (tau**2 * lifts + variances * mu) / total
    np.testing.assert_allclose(posterior.mean(), (weight[:, :, None] * mean_given).sum(axis=(0, 1)), atol=1e-7)
    np.testing.assert_allclose(posterior.weights, weight.sum(axis=1), atol=1e-7)
    second = (weight[:, :, None] * (mean_given**2 + tau**2 * variances / total)).sum(axis=(0, 1))
    ours = posterior.weights @ (posterior.means**2 + posterior.deviations**2)
    np.testing.assert_allclose(ours, second, atol=1e-7)


def test_the_posterior_interval_holds_its_share_of_the_posterior() -> None:
    posterior = shrink(np.linspace(-0.1, 0.1, 8), np.full(8, 0.03**2))
    low, high = posterior.interval(0.1)
    np.testing.assert_allclose(posterior.below(low), 0.05, atol=1e-9)
    np.testing.assert_allclose(posterior.below(high), 0.95, atol=1e-9)


def test_a_common_lift_is_found_common_and_a_mixed_one_is_not() -> None:
    same = read_slice("context", cells({str(i): (0.05, 0.03) for i in range(8)}), SETTING)
    mixed = read_slice("context", cells({str(i): (0.3 * (-1) ** i, 0.03) for i in range(8)}), SETTING)
    assert same.tau2 is not None
    assert mixed.tau2 is not None
    assert mixed.tau2 > 10 * same.tau2
    for reading in same.cells.values():
        assert isinstance(reading.shrunk, Bounds)
        assert reading.shrunk.est == pytest.approx(0.05, abs=1e-9)
        assert reading.shrunk.hi is not None
        assert reading.shrunk.hi - 0.05 < 1.96 * 0.03


def test_the_bayesian_interval_covers_under_its_own_model() -> None:
    rng = np.random.default_rng(11)
    hits = []
    for _ in range(400):
        se = rng.uniform(0.02, 0.08, 12)
        truth = rng.normal(0.02, 0.05, 12)
        low, high = shrink(truth + se * rng.standard_normal(12), se**2).interval(0.05)
        hits.append((low < truth) & (truth < high))
    assert np.mean(hits) >= 0.92


def test_flags_by_what_the_slice_is_worth() -> None:
    read = read_slice(
        "context",
        cells(
            {
                "decor": (0.20, 0.01),
                "bedding": (-0.20, 0.01),
                "lamps": (0.0, 0.002),
                "rugs": (0.0, 0.002),
                "garden": (0.001, 0.002),
                "unsure": (0.02, 0.01),
                "hopeless": (0.02, 0.4),
            }
        ),
        SETTING,
    )
    flags = {name: cell.flag for name, cell in read.cells.items()}
    assert flags["decor"] == "gain"
    assert flags["bedding"] == "loss"
    assert flags["lamps"] == flags["rugs"] == flags["garden"] == "no_material_effect"
    assert flags["unsure"] == "more_data"
    assert flags["hopeless"] == "noise"
    unsure, hopeless = read.cells["unsure"], read.cells["hopeless"]
    assert unsure.days_to_decide is not None
    assert 0 < unsure.days_to_decide <= SETTING.days_left
    assert hopeless.days_to_decide is None
    decor = read.cells["decor"]
    assert isinstance(decor.value, Bounds)
    assert decor.value.est == pytest.approx(2000 * (decor.shrunk.est if decor.shrunk else 0))
    assert decor.p_material is not None
    assert decor.p_material > 0.99


@pytest.mark.parametrize("material", [0.0, 20.0])
def test_noise_is_seldom_called_a_gain_or_a_loss(material: float) -> None:
    """12 slices that truly do nothing, each known to ± 3 %; a threshold of 20 is a lift of 1 %."""
    rng = np.random.default_rng(13)
    setting = replace(SETTING, material=material, days_left=0)
    flags = [
        cell.flag
        for _ in range(200)
        for cell in read_slice(
            "context", cells({str(i): (0.03 * rng.standard_normal(), 0.03) for i in range(12)}), setting
        ).cells.values()
    ]
    assert sum(flag == "gain" for flag in flags) <= 0.05 * len(flags)
    assert sum(flag == "loss" for flag in flags) <= 0.05 * len(flags)


@pytest.mark.parametrize("kind", ["context", "decomposition"])
@pytest.mark.parametrize("material", [0.0, 20.0, 100.0])
def test_a_flag_never_says_another_sign_than_its_range(
    kind: Literal["context", "decomposition"], material: float
) -> None:
    rng = np.random.default_rng(17)
    setting, flags = replace(SETTING, material=material, days_left=0), []
    for _ in range(100):
        lifts = {str(i): (float(rng.normal(0.02, 0.06)), float(rng.uniform(0.01, 0.06))) for i in range(8)}
        for cell in read_slice(kind, cells(lifts), setting).cells.values():
            assert isinstance(cell.value, Bounds)
            assert cell.value.lo is not None
            assert cell.value.hi is not None
            flags.append(cell.flag)
            match cell.flag:
                case "gain":
                    assert cell.value.lo > 0
                case "loss":
                    assert cell.value.hi < 0
                case "noise":
                    assert cell.value.lo <= 0 <= cell.value.hi
    assert {"gain", "loss", "noise"} <= set(flags)


def test_what_is_surely_up_but_perhaps_not_by_enough_is_not_noise() -> None:
    over = replace(SETTING, material=100.0, days_left=0)  # a lift of 5 %
    for kind in ("context", "decomposition"):
        read = read_slice(kind, cells({str(i): (0.05, 0.012) for i in range(6)}), over)
        assert {cell.flag for cell in read.cells.values()} == {"more_data"}


def test_fewer_is_better_turns_gain_and_loss_around() -> None:
    named = cells({str(i): (0.2 * (-1) ** i, 0.01) for i in range(6)})
    up = read_slice("context", named, SETTING)
    down = read_slice("context", {name: replace(cell, worth=-PER_1000) for name, cell in named.items()}, SETTING)
    opposite = {"gain": "loss", "loss": "gain"}
    for name, cell in up.cells.items():
        mirrored = down.cells[name]
        assert mirrored.flag == opposite[cell.flag]
        assert mirrored.shrunk == cell.shrunk
        assert isinstance(mirrored.value, Bounds)
        assert isinstance(cell.value, Bounds)
        assert mirrored.value.lo == pytest.approx(-(cell.value.hi or 0))


def test_fewer_than_six_determined_slices_are_not_shrunk() -> None:
    five = {str(i): (0.1, 0.03) for i in range(FEWEST - 1)}
    few = read_slice("context", cells(five), SETTING)
    assert few.tau2 is None
    assert all(cell.shrunk is None and cell.q is None for cell in few.cells.values())
    thin = {**cells(five), "thin": Cell(replace(lift(0.1, 0.03), nonzero_t=99), PER_1000)}
    assert read_slice("context", thin, SETTING).tau2 is None
    assert read_slice("context", cells({**five, "sixth": (0.1, 0.03)}), SETTING).tau2 is not None


def test_parts_share_their_units_and_are_never_shrunk() -> None:
    read = read_slice("decomposition", cells({str(i): (0.2 if i else 0.0, 0.02) for i in range(8)}), SETTING)
    assert read.tau2 is None
    assert all(cell.shrunk is None for cell in read.cells.values())
    assert {cell.flag for name, cell in read.cells.items() if name != "0"} == {"gain"}


def test_raw_intervals_are_simultaneous_over_the_cells_and_always_valid_while_running() -> None:
    running = replace(SETTING, look="always_valid", fraction=0.5)
    named = cells({str(i): (0.02, 0.02) for i in range(10)})
    reading = read_slice("decomposition", named, running).cells["3"]
    contrast = named["3"].contrast
    assert isinstance(contrast, Contrast)
    assert isinstance(reading.absolute, Bounds)
    assert isinstance(reading.relative, Bounds)
    k = critical_value(0.5, 0.05 / 10 / 2, sides="one")
    assert reading.absolute.hi == pytest.approx(contrast.difference + k * contrast.se)
    assert reading.relative.hi == pytest.approx(0.02 + k * 0.02, rel=1e-4)


def test_looking_while_running_widens_the_shrunk_intervals() -> None:
    named = cells({str(i): (0.03 * i, 0.04) for i in range(8)})

    def width(cell: CellReading) -> float:
        assert cell.shrunk is not None
        return (cell.shrunk.hi or 0) - (cell.shrunk.lo or 0)

    fixed, running = (read_slice("context", named, s).cells for s in (SETTING, replace(SETTING, look="always_valid")))
    assert all(width(running[name]) > 1.2 * width(fixed[name]) for name in named)


def test_undetermined_slices_stand_apart() -> None:
    none = Undetermined("too_few_units", "an arm has no units")
    read = read_slice(
        "context", {**cells({str(i): (0.1, 0.02) for i in range(6)}), "empty": Cell(none, PER_1000)}, SETTING
    )
    assert read.tau2 is not None
    assert read.cells["empty"].absolute is none
    assert read.cells["empty"].relative is none
    assert (read.cells["empty"].flag, read.cells["empty"].value) == ("more_data", None)


def test_adjusted_p_values_are_benjamini_hochbergs() -> None:
    named = cells({str(i): (0.01 * i, 0.02) for i in range(8)})
    read = read_slice("context", named, SETTING)
    _, adjusted, *_ = multipletests([_p(cell) for cell in named.values()], method="fdr_bh")
    assert [cell.q for cell in read.cells.values()] == pytest.approx(adjusted.tolist(), rel=1e-9)


def _p(cell: Cell) -> float:
    assert isinstance(cell.contrast, Contrast)
    return student_p(cell.contrast.z, cell.contrast.dof, sides="two")


def test_without_a_threshold_only_the_sign_decides() -> None:
    read = read_slice(
        "context", cells({str(i): (0.1 * (i - 2), 0.01) for i in range(7)}), replace(SETTING, material=0.0)
    )
    flags = [cell.flag for cell in read.cells.values()]
    assert flags[0] == flags[1] == "loss"
    assert set(flags[3:]) == {"gain"}
    assert flags[2] != "no_material_effect"


def test_at_the_end_nothing_needs_more_days() -> None:
    over = replace(SETTING, days_left=0)
    read = read_slice("context", cells({str(i): (0.02, 0.1) for i in range(6)}), over)
    assert {cell.flag for cell in read.cells.values()} <= {"noise", "gain", "no_material_effect"}
    assert all(cell.days_to_decide is None for cell in read.cells.values())
