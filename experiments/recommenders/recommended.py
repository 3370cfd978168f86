"""What a recommender answers a service: item ids, and which version of a strategy chose them. It imports nothing."""

from collections.abc import Iterable


class Recommended(tuple[str, ...]):
    """Item ids, best first, with the `version` of the strategy; a list of somebody else's has none."""

    version: str

    @classmethod
    def by(cls, version: str, items: Iterable[str]) -> "Recommended":
        """These items, chosen by that version."""
        made = cls(items)
        made.version = version
        return made
