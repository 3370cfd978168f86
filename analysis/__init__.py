"""What it means: from exact moments to estimates, verdicts and readouts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.notebook import open_shop

__all__ = ["open_shop"]


def __getattr__(name: str) -> object:
    """`analysis.open_shop`, imported when asked for, so that `import analysis` stays light."""
    if name == "open_shop":
        from analysis.notebook import open_shop

        return open_shop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
