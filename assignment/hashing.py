"""The hash `md5-32/1`: a salt and a unit id become one of 10,000 buckets.

Any language can redo it from `vectors/bucket_vectors.json`; any SQL engine can audit it, because md5 is built in.
The definition is Eppo's public sharding rule. Ids are hashed as they are: no trimming, no case folding, no Unicode
normalisation; what would hash differently in another system is refused instead.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from struct import Struct
from typing import Literal

from experiments.errors import UsageError

HASH_VERSION = "md5-32/1"
BUCKETS = 10_000
Stage = Literal["holdout", "layer", "traffic", "split", "switchback", "tdi"]
_first_32_bits = Struct(">I").unpack_from
_SALT = re.compile(r"[a-z0-9][a-z0-9_.:]{2,94}")


def bucket(salt: str, unit_id: str) -> int:
    """The unit's bucket, 0 to 9,999. UsageError for a salt or unit id that breaks the rules below."""
    return md5_32(f"{check_salt(salt)}-{check_unit_id(unit_id)}") % BUCKETS


def stage_salt(salt: str, stage: Stage) -> str:
    """The salt of one stage. Every stage has its own: with one for two, a 10 % ramp would be all control."""
    return f"{check_salt(salt)}:{stage}"


def bucketer(salt: str, stage: Stage) -> Callable[[bytes], int]:
    """The bucket of a stage for many ids, which are given as UTF-8 and not checked again."""
    prefix = f"{stage_salt(salt, stage)}-".encode()
    md5 = hashlib.md5

    def bucket_of(unit_id: bytes) -> int:
        found: int = _first_32_bits(md5(prefix + unit_id, usedforsecurity=False).digest())[0]
        return found % BUCKETS

    return bucket_of


def md5_32(text: str) -> int:
    """The first four bytes of the md5 of the UTF-8 text, big-endian unsigned."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:4], "big")


def check_salt(salt: str) -> str:
    """The salt itself, if it may be one: no '-', so that salt and id can never run into each other."""
    if not isinstance(salt, str) or not _SALT.fullmatch(salt):
        raise UsageError(
            f"salt {salt!r}: 3 to 95 of a-z, 0-9, '_', '.', ':', beginning with a letter or digit; choose another"
        )
    return salt


def check_unit_id(unit_id: str) -> str:
    """The unit id itself, if it may be one: 1 to 256 characters, none of them control, no white space around it."""
    if not isinstance(unit_id, str):
        raise UsageError(
            f"unit_id {unit_id!r} is a {type(unit_id).__name__}, not text: 1, '01' and 1.0 hash apart; "
            "write it as the string the shop logs"
        )
    if not 1 <= len(unit_id) <= 256:
        raise UsageError(f"unit_id has {len(unit_id)} characters: give 1 to 256")
    if unit_id != unit_id.strip():
        raise UsageError(f"unit_id {unit_id!r} has white space around it: strip it where it is logged")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in unit_id):
        raise UsageError(f"unit_id {unit_id!r} has a control character or half a surrogate pair: log a clean id")
    return unit_id
