"""What people do about incidents, checked and written down; the next run takes it into account. ALERTS 5."""

from datetime import datetime

from analysis.alerts import stored
from analysis.alerts.acts import Act, refusals
from analysis.alerts.lifecycle import step
from analysis.alerts.standing import Standing
from experiments.errors import UsageError
from experiments.store import Store


def do(store: Store, act: Act) -> Act:
    """Write an act down. UsageError with everything that is wrong with it."""
    wrong = refusals(act, current(store, act.at).incidents)
    if wrong:
        raise UsageError("\n".join(wrong))
    store.alerts.act(act.at, stored.act_json(act))
    return act


def current(store: Store, now: datetime) -> Standing:
    """Where everything stands now: with what people did since the last run, which the next one keeps."""
    kept = stored.standing(store)
    return kept if kept.at is None else step(kept, max(now, kept.at), (), stored.acts(store), windows={})[0]
