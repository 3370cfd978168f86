"""Shares to half-open ranges of 10,000 buckets, and ranges that must not overlap. ASSIGNMENT 2.

A weight is an exact decimal in a text, a multiple of 0.0001; one basis point is one bucket. The golden vectors
`weights_to_ranges.json` hold the same rules for other languages.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

BUCKETS = 10_000
Range = tuple[int, int]  # [start, end)
EVERY: Range = (0, BUCKETS)
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a list of weights: of the one at `index`, or of all together (None)."""

    code: str
    index: int | None
    message: str
    next_step: str


def basis_points(share: str) -> int:
    """A share from "0" to "1" in whole basis points. ValueError when it is no such decimal."""
    points = Decimal(share) * BUCKETS if _DECIMAL.fullmatch(share) else None
    if points is None or points != int(points) or not 0 <= points <= BUCKETS:
        raise ValueError(f'{share!r} is not a multiple of 0.0001 from "0" to "1"')
    return int(points)


def share_text(points: int) -> str:
    """Basis points as the shortest exact decimal: 2500 is "0.25"."""
    text = f"{Decimal(points) / BUCKETS:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def faults(weights: Sequence[str]) -> tuple[Fault, ...]:
    """Everything that keeps the weights from being ranges; none when they are exact, above 0 and sum to 1."""
    found = tuple(fault for index, weight in enumerate(weights) for fault in _fault(index, weight))
    if found:
        return found
    total = sum((Decimal(weight) for weight in weights), Decimal(0))
    if total == 1:
        return ()
    missing = 1 - total
    step = f"give the missing {missing:f} to a variant" if missing > 0 else f"take {-missing:f} away from a variant"
    return (Fault("weights_sum", None, f"weights sum to {total:f}, not 1", step),)


def split(weights: Sequence[str]) -> tuple[Range, ...]:
    """The weights' ranges in declaration order, together all buckets. ValueError with every fault."""
    wrong = faults(weights)
    if wrong:
        raise ValueError("; ".join(f"{fault.code}: {fault.message}" for fault in wrong))
    return _laid_out([basis_points(weight) for weight in weights])


def equal(arms: int) -> tuple[int, ...]:
    """Basis points of equal arms; the first ones get what does not divide: 3334, 3333, 3333. ValueError for none."""
    if not 1 <= arms <= BUCKETS:
        raise ValueError(f"{arms} arms cannot share {BUCKETS} buckets")
    each, left = divmod(BUCKETS, arms)
    return tuple(each + (index < left) for index in range(arms))


def overlap(one: Iterable[Range], other: Iterable[Range]) -> tuple[Range, ...]:
    """The buckets both have, as ranges in order."""
    second = tuple(other)
    common = [(max(a, c), min(b, d)) for a, b in one for c, d in second]
    return merged((start, end) for start, end in common if start < end)


def free(taken: Iterable[Range]) -> tuple[Range, ...]:
    """The buckets nobody has, as ranges in order."""
    edges = merged(taken)
    starts = [0, *(end for _, end in edges)]
    ends = [*(start for start, _ in edges), BUCKETS]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start < end)


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same buckets in as few ranges as there can be, in order."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def covers(outer: Iterable[Range], inner: Iterable[Range]) -> bool:
    """Whether every bucket of `inner` is in `outer`."""
    wanted = merged(inner)
    return overlap(outer, wanted) == wanted


def shown(ranges: Iterable[Range]) -> str:
    """For a message: `[0, 2000), [6000, 10000)`, or `none`."""
    return ", ".join(f"[{start}, {end})" for start, end in ranges) or "none"


def _fault(index: int, weight: str) -> Iterator[Fault]:
    if not _DECIMAL.fullmatch(weight):
        step = 'write digits with a point, as "0.5"; or equal for every variant'
        yield Fault("weight_precision", index, f"{weight!r} is not an exact decimal", step)
        return
    value = Decimal(weight)
    if value < 0:
        yield Fault("negative_weight", index, f"{weight} is below 0", "a weight is above 0")
    elif value == 0:
        yield Fault("zero_weight", index, "a weight is above 0", "remove the variant")
    elif value * BUCKETS != int(value * BUCKETS):
        yield Fault("weight_precision", index, f"{weight} is not a multiple of 0.0001", "write at most four decimals")


def _laid_out(points: Sequence[int]) -> tuple[Range, ...]:
    ends = [sum(points[: index + 1]) for index in range(len(points))]
    return tuple(zip([0, *ends[:-1]], ends, strict=True))
