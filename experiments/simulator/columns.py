"""Arrow columns from arrays of codes: ids, texts, numbers, instants."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.simulator.items import Integers

INSTANT = pa.timestamp("us", tz="UTC")


def ids(prefix: str, numbers: Integers, width: int) -> pa.Array:
    """`prefix` and the number, padded with zeros; null where it is negative."""
    digits = pc.utf8_lpad(pc.cast(whole(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def texts(codes: Integers, names: Sequence[str]) -> pa.Array:
    """The text of each code; null where it is negative."""
    index = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(index, pa.array(names, pa.string())).cast(pa.string())


def whole(values: Integers) -> pa.Array:
    """The numbers; null where one is negative."""
    return pa.array(values, pa.int64(), mask=values < 0)


def constant(text: str, n: int) -> pa.Array:
    """The same text n times."""
    return pa.repeat(pa.scalar(text), n)


def instants(micros: Integers) -> pa.Array:
    """µs since the epoch as UTC."""
    return pa.array(micros, INSTANT)
