"""A plan's history from a readout that a refresh published, with no number written by hand on the way."""

from datetime import timedelta
from pathlib import Path

import pytest

from analysis.history import earlier
from analysis.plan_warnings import adviser
from experiments.shop import create
from experiments.store import Store
from tests.analysis.test_pipeline import DEFINITION, START, loaded
from tests.helpers.thread import Thread

DAYS, A_DAY = 8, 60
EUROS = [20 + i for i in range(0, A_DAY, 2)]  # what each of a day's control units spends


def test_a_published_run_gives_the_noise_of_a_unit_and_the_pace_of_its_days(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop", currency="EUR")
    with Store.open(shop.store_url) as store:
        thread = Thread(shop, store)
        loaded(thread, tmp_path, DAYS)
        key = thread.start(DEFINITION)
        thread.refresh(key, START + timedelta(days=DAYS))
        known = store.definition(key)
        found = earlier(store, known.experiment, tuple(known.metrics.values()), known.metrics)
        said = adviser(store, shop)(known.experiment)
    assert list(found) == ["revenue_per_unit"]  # no line is 14 days old yet, so returns were not determined
    past = found["revenue_per_unit"]
    mean, n = sum(EUROS) / len(EUROS), DAYS * len(EUROS)
    spread = sum((euro - mean) ** 2 for euro in EUROS) / len(EUROS) * n / (n - 1)
    assert (past.key, past.modules) == (key, ("homepage",))
    assert past.noise.mean == pytest.approx(100 * mean, rel=1e-12)
    assert past.noise.residual == pytest.approx(100**2 * spread, rel=1e-9)
    assert (past.noise.nonzero, past.noise.rank) == (1.0, 0)  # everybody buys, nobody was here before
    assert past.accrual.curve == tuple((day, A_DAY * day) for day in range(1, DAYS + 1))
    assert said.notes[0].startswith("revenue_per_unit has no materiality; the planned 600 an arm settle a lift of ")
    assert said.notes[1] == (
        "power is not assessed for return_value_rate: no readout of users that fits is published yet"
    )
