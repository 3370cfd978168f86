"""What may not be shown, whatever a strategy thinks of it: ordered rules between the candidates and the slate.

A rule either keeps items one by one (in stock, enough margin) or lets only so many of a group into one slate (one per
variant group); those of the first kind go first, since a slate is made of what they keep. The first rule that removes
an item is named for it. What the catalogue does not know removes nothing. Rules change without fitting anything anew;
`version` tells two sets of them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from experiments.base import digest
from experiments.errors import UsageError
from experiments.recommenders.base import Flags, Integers
from experiments.recommenders.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, who set it, and until when it holds: one of `keeps` and `group`."""

    name: str
    keeps: Callable[[Shelf], Flags] | None = None  # (n_items,): which items may stay
    group: Callable[[Shelf], Integers] | None = None  # (n_items,): of equal numbers `most` stay in a slate, the best
    most: int = 1
    params: Mapping[str, float] = field(default_factory=dict)
    set_by: str = "truelift"
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.until is None or now < self.until


def in_stock(*, set_by: str = "truelift", until: datetime | None = None) -> Rule:
    """No item that is known to be sold out."""
    return Rule("in_stock", keeps=lambda shelf: ~(shelf.stock <= 0), set_by=set_by, until=until)


def margin_floor(share: float, *, set_by: str = "truelift", until: datetime | None = None) -> Rule:
    """No item whose margin is known to be less than this share of its price. UsageError unless -1 ≤ share ≤ 1."""
    if not -1 <= share <= 1:
        raise UsageError(f"margin_floor {share}: a share of the price from -1 to 1, for example 0.1")
    return Rule(
        "margin_floor",
        keeps=lambda shelf: ~(shelf.margin < share * shelf.price),
        params={"share": share},
        set_by=set_by,
        until=until,
    )


def one_per_variant(*, set_by: str = "truelift", until: datetime | None = None) -> Rule:
    """Of the sizes and colours of one thing only the best."""
    return Rule("one_per_variant", group=lambda shelf: shelf.group, set_by=set_by, until=until)


RULES: tuple[Rule, ...] = (in_stock(), one_per_variant())  # what a shop has that says nothing else


def shop_rules(floor: float | None) -> tuple[Rule, ...]:
    """A shop's rules in their order, with the margin floor of its settings if it has one."""
    return RULES if floor is None else (in_stock(), margin_floor(floor, set_by="truelift.toml"), one_per_variant())


def version(rules: Sequence[Rule]) -> str:
    """12 hex digits: equal for the same rules in the same order."""
    said = [
        [rule.name, rule.most, dict(rule.params), rule.set_by, None if rule.until is None else rule.until.isoformat()]
        for rule in rules
    ]
    return digest(said)[:12]


def removed_by(rules: Sequence[Rule], shelf: Shelf) -> Integers:
    """Which rule, counted from 0, is the first to remove each item, -1 for none: (n_items,)."""
    first = np.full(len(shelf.items), -1)
    for number, rule in reversed(list(enumerate(rules))):
        if rule.keeps is not None:
            first = np.where(rule.keeps(shelf), first, number)
    return first
