"""How hard to try: TRUELIFT_EFFORT=ci (default) or full."""

import os


def scaled(ci: int, full: int) -> int:
    """`ci` or `full`, as TRUELIFT_EFFORT says; any other word is an error."""
    effort = os.environ.get("TRUELIFT_EFFORT", "ci")
    if effort not in ("ci", "full"):
        raise ValueError(f"TRUELIFT_EFFORT={effort!r}: write ci or full")
    return full if effort == "full" else ci
