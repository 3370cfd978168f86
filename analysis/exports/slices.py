"""Which slices a page for a person shows: those that say more than the row above them."""

from collections.abc import Iterator

from analysis.readout import Readout, SliceReadout


def shown(readout: Readout, arm: str) -> Iterator[tuple[SliceReadout, str | None]]:
    """Slices of two cells or more with the success metric drawn; None for one that a check holds empty.

    Every slice of every metric is in the JSON, the CSV file and the app.
    """
    success = [metric.key for metric in readout.metrics or () if metric.role == "success"]
    for part in readout.slices or ():
        cells = [cell for cell in part.cells if cell.arm == arm]
        metric = next((key for key in success if sum(cell.metric == key for cell in cells) > 1), None)
        if metric is not None or not part.cells:
            yield part, metric
