"""Designs beside the A/B test: a switchback's windows and an interleaving's two rankers. ASSIGNMENT 8."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from experiments.base import Value

Design = Literal["ab", "switchback", "interleaving"]
AssignedUnit = Literal["user", "session", "device", "cluster_window", "request"]
DESIGN_UNITS: Mapping[str, AssignedUnit] = {"switchback": "cluster_window", "interleaving": "request"}
UNREAD_UNITS: Mapping[str, str] = {  # unit type → why no readout is made of it
    "cluster_window": "whole windows of a cluster change arms, so that its visitors are no units of their own",
    "request": "requests of one visitor hang together, so that intervals over requests would be too narrow",
}
DAY_MINUTES = 24 * 60


class Switchback(Value):
    """Who changes arms together, and when: windows begin at midnight UTC and every `window_minutes` from there.

    `cluster` is the context's attribute that names the cluster; exposures of a window's first `burn_in_minutes` are
    logged and not analysed.
    """

    cluster: Annotated[str, Field(min_length=1, max_length=256)]
    window_minutes: Annotated[int, Field(ge=1, le=DAY_MINUTES)]
    burn_in_minutes: Annotated[int, Field(ge=0)] = 0

    @property
    def window(self) -> timedelta:
        """How long a cluster keeps its arm."""
        return timedelta(minutes=self.window_minutes)

    @property
    def burn_in(self) -> timedelta:
        """How much of a window's start is not analysed."""
        return timedelta(minutes=self.burn_in_minutes)


def unread(design: str, unit_type: str) -> str | None:
    """Why no readout is made of an experiment, and what to do instead; None where one is."""
    if design == "interleaving":
        return (
            "an interleaving says which of two rankers is preferred, never what either adds, so no lift is computed; "
            "count the clicks by the items' source, and test the winner as design: ab on users"
        )
    if unit_type in UNREAD_UNITS:
        return (
            f"its units are of type {unit_type}: {UNREAD_UNITS[unit_type]}; its exposures are in the warehouse, "
            "assign users or sessions where a readout is wanted"
        )
    return None
