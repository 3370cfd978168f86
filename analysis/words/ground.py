"""What registering says of layers and holdouts: which came and went, and whom a holdout keeps from what since when."""

from collections.abc import Iterator
from datetime import UTC, datetime

from analysis import words
from experiments.layers import NOTHING, Ground
from experiments.placement import Holdout
from experiments.ranges import BUCKETS


def changes(before: Ground, after: Ground, now: datetime) -> Iterator[str]:
    """A line for what is registered now and was not or was otherwise, one for each such holdout, one for what went."""
    came = [f"layer {key}" for key, each in after.layers.items() if before.layers.get(key) != each]
    held = [each for key, each in after.holdouts.items() if before.holdouts.get(key) != each]
    gone = [f"layer {key}" for key in before.layers if key not in after.layers]
    gone += [f"holdout {key}" for key in before.holdouts if key not in after.holdouts]
    if came or held:
        yield f"registered: {', '.join([*came, *(f'holdout {each.key}' for each in held)])}"
    for each in held:
        yield from holding(each, now)
    if gone:
        yield f"removed: {', '.join(gone)}"


def holding(holdout: Holdout, now: datetime) -> Iterator[str]:
    """Whom it holds out, where, since when and what they meet; a warning where that began before it was known."""
    who = f"{share(holdout)} of {words.units(holdout.unit_type)} on {words.listed(holdout.modules)}"
    meets = "no recommendations" if holdout.strategy == NOTHING else holdout.strategy
    until = "" if holdout.end_at is None else f" until {_utc(holdout.end_at)}"
    if holdout.end_at is not None and holdout.end_at <= now:
        yield f"  holdout {holdout.key}: held out {who}{until}, and holds out nobody now"
        return
    since = "from now on" if holdout.start_at <= now else f"from {_utc(holdout.start_at)} on"
    yield f"  holdout {holdout.key}: holds out {who}, who meet {meets}, {since}{until}"
    if holdout.start_at < now:
        yield (
            f"  warning: holdout: start_at: {_utc(holdout.start_at)} has passed: its readout begins there, and members "
            "who met anything else since then count as such"
        )


def share(holdout: Holdout) -> str:
    """How much of everybody it holds out, `5%`."""
    return words.amount(sum(end - start for start, end in holdout.buckets) / BUCKETS, unit="share")


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
