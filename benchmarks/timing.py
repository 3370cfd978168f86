"""What the benchmarks measure with."""

import time
from collections.abc import Callable, Sequence


def cpu(work: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of `repeats` runs, after one that warms caches."""
    return cpu_in_turns([work], repeats)[0]


def cpu_in_turns(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The same of several, run in turns, so that a machine that slows down slows all of them."""
    least = [float("inf")] * len(works)
    for turn in range(repeats + 1):
        for index, work in enumerate(works):
            began = time.process_time()
            work()
            if turn > 0:
                least[index] = min(least[index], time.process_time() - began)
    return least
