"""What a recommender answers a service: item ids, which version of a strategy chose them, and how many it chose itself.

It imports nothing.
"""

from collections.abc import Collection, Iterable


class NoListError(LookupError):
    """A strategy that was not fitted with these parameters and has no list either."""


class Recommended(tuple[str, ...]):
    """Item ids, best first: the strategy's `own`, then the cold ladder's. A plain sequence is somebody else's list."""

    version: str
    own: int  # how many of the first are the strategy's
    cause: str  # why the ladder was needed, if one of its items is shown

    @classmethod
    def by(cls, version: str, items: Iterable[str], *, own: int, cause: str) -> "Recommended":
        """These items, chosen by that version."""
        made = cls(items)
        made.version, made.own, made.cause = version, own, cause
        return made

    def fallback_cause(self, shown: Collection[str]) -> str | None:
        """Why the ladder filled a place of what is shown; None when it filled none."""
        return self.cause if not set(self[self.own :]).isdisjoint(shown) else None
