"""The named parameters of sql/*.sql, from what is asked of one phase at one cut."""

from collections.abc import Mapping

from analysis.warehouse.base import CountRequest
from analysis.warehouse.base import Parameter as Parameter
from analysis.warehouse.counting import facts_sql


def request_parameters(request: CountRequest) -> dict[str, Parameter]:
    """The named parameters every statement and check may ask for."""
    held_out = request.held_out
    by_hash: dict[str, Parameter] = {"by_hash": 0 if held_out is None else 1}
    if held_out is not None:
        by_hash["holdout_salt"] = held_out.salt
        by_hash["holdout_starts"], by_hash["holdout_ends"] = map(list, zip(*held_out.buckets, strict=True))
    names, starts, ends = zip(*request.split.arms, strict=True) if request.split else ((), (), ())
    return by_hash | {
        "split_salt": request.split.salt if request.split else "",
        "split_arms": list(names),
        "split_starts": list(starts),
        "split_ends": list(ends),
        "experiment_key": request.experiment_key,
        "phase": request.phase,
        "unit_type": request.unit_type,
        "modules": list(request.modules),
        "arms": list(request.arms),
        "started_at": request.started_at,
        "as_of": request.cut.as_of,
        "as_of_day": request.cut.as_of_day,
        "outcome_end": request.cut.outcome_end,
        "covariate_days": request.covariate_days,
        "attribution_days": request.attribution_days,
    }


def wanted(text: str, given: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters the statement names; KeyError on one that nobody gives."""
    return {name: given[name] for name in facts_sql.parameters(text)}
