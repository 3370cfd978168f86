"""What each reason of a rejected row means, and the next step: one sentence each.

A reason is one of the whole codes, or `<column>_<ending>`: `unit_missing`, `items_position_too_small`.
"""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    # whole codes
    "malformed": "the record is not of the file's format; mend it, or correct file: in the mapping",
    "torn": "the line has no end: its process died before the event was acknowledged; nothing to do",
    "no_event": "its schema_version is none that the log writes; write events through Spool.append",
    "unknown_field": "the row has a field the contract does not; leave it out, or name the columns one by one",
    "when_not_number": "gt or lt met a text that is no number; mend it, or choose the rows by eq, in or prefix",
    "each_not_list": "what each: reads is no list; correct the path, or choose the rows that have one by when:",
    "order_inconsistent": "its order's first line has another unit or day; give all lines of an order the same",
    "currency_missing": "the row does not say its currency; log it, or write money: with a code",
    "currency_unknown": "it is not the shop's currency and has no rate for that day; add one to rates:",
    "valid_to_not_after_valid_from": "the item's row ends before it begins; correct valid_to, or leave it out",
    # endings
    "missing": "there is no {column}, or a text such as NULL for one; log it, or leave such rows out by when:",
    "empty": "{column} is an empty text; log it, or leave such rows out by when:",
    "too_long": "{column} is longer than the contract takes; map a shorter one",
    "bad_characters": "{column} has control characters, or white space at an end; clean it where it is logged",
    "unknown": "{column} is none of the values the contract or the mapping lists; translate it by values:",
    "negative": "{column} is below 0; correct it, or write abs: true where the sign says nothing",
    "too_small": "{column} is below what the contract takes; check its unit",
    "too_large": "{column} is above what the contract takes; check its unit",
    "too_precise": "{column} has more than 38 digits; log fewer",
    "not_text": "{column} is not text; write as: string if its texts are the same in every file",
    "not_integer": "{column} is no whole number (1.5 is none); an amount needs money:, a number in a text as: integer",
    "not_number": "{column} is not a number, with a point for its decimals; correct it where it is logged",
    "not_boolean": "{column} is neither true nor false; translate it by values:",
    "not_time": "{column} is not an ISO 8601 time; write as: epoch_s, epoch_ms or epoch_us for a number",
    "not_list": "{column} is not a list; correct its path",
    "not_object": "{column} is not an object of named fields; correct its path",
    "out_of_range": "{column} is before 1970 or after 2199; check which of epoch_s, epoch_ms, epoch_us it is",
    "no_zone": "{column} is a time without a zone; give the mapping time_zone:",
    "nonexistent": "{column} is in the hour the clock skips in spring; log times in UTC",
    "ambiguous": "{column} is in the hour the clock shows twice in autumn; log times in UTC",
}


def explained(reason: str) -> str:
    """The sentence of a reason. KeyError for a code that no load gives."""
    if reason in REASONS:
        return REASONS[reason]
    ending = max((code for code in REASONS if reason.endswith(f"_{code}")), key=len, default=reason)
    column = reason.removesuffix(f"_{ending}")
    return REASONS[ending].format(column="unit_id" if column == "unit" else column)
