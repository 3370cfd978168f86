"""What people do about incidents, checked and written down; the next run takes it into account. ALERTS 5."""

from analysis.alerts import stored
from analysis.alerts.acts import Act, refusals
from experiments.errors import UsageError
from experiments.store import Store


def do(store: Store, act: Act) -> Act:
    """Write an act down. UsageError with everything that is wrong with it."""
    wrong = refusals(act, stored.standing(store).incidents)
    if wrong:
        raise UsageError("\n".join(wrong))
    store.alerts.act(act.at, stored.act_json(act))
    return act
