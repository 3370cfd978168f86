"""What the benchmarks measure with."""

import time
from collections.abc import Callable


def cpu(work: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of `repeats` runs, after one that warms caches."""
    work()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)
