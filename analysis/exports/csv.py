"""A readout as CSV: every row stamped with experiment, snapshot, rule version and data as of."""

import csv
import io

from analysis.exports.rows import COLUMNS, records
from analysis.readout import Readout


def to_csv(readout: Readout) -> str:
    """Comma-separated, header first, empty where there is no value; numbers in full precision, point as decimal."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(readout))
    return text.getvalue()
