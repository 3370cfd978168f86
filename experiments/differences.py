"""Where two documents differ: definitions, or what the audit says was before and after."""

from collections.abc import Iterator

from experiments.loading import Json, Path_

Difference = tuple[Path_, Json, Json]  # where, before, after; None where it is not there


def differing(before: Json, after: Json, path: Path_ = ()) -> Iterator[Difference]:
    """Every place in which the two differ, in the order of their fields; lists of other lengths differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from differing(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differing(old, new, (*path, index))
    elif before != after:
        yield path, before, after
