"""The configuration a worker answers from: compiled once, replaced whole when the store has a newer one."""

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from assignment.bundle import Bundle, compile_bundle
from assignment.service.auth import Token
from experiments.errors import TrueliftError

_log = logging.getLogger("truelift.service")


class Source(Protocol):
    """Where definitions come from: the store, or a test's own."""

    def version(self) -> int:
        """The number of the newest change; cheap."""

    def document(self) -> Mapping[str, object]:
        """The `bundle.v1` of now."""

    def tokens(self) -> Sequence[Token]:
        """Those that may ask now."""


class Configuration:
    """The newest configuration that compiles. A request reads `bundle` once and is answered from it to its end."""

    def __init__(self, source: Source) -> None:
        """Read the first one. DefinitionError, StoreError: without any there is nothing to serve."""
        self._source = source
        self.failures = 0  # reloads that failed, since the start
        self.error: str | None = None  # of the last reload
        self._take(source.document())
        self.tokens = source.tokens()

    def refresh(self) -> bool:
        """Look for a newer one; whether there was. What fails is counted, and the one before stays."""
        try:
            self.tokens = self._source.tokens()
            if self._source.version() == self.bundle.config_version:
                self.error = None
                return False
            self._take(self._source.document())
        except TrueliftError as error:
            self.failures += 1
            if str(error) != self.error:
                _log.error("configuration %s stays: %s", self.bundle.config_version, error)
            self.error = str(error)
            return False
        self.error = None
        _log.info("configuration %s", self.bundle.config_version)
        return True

    def _take(self, document: Mapping[str, object]) -> None:
        bundle = compile_bundle(document)
        self.bundle: Bundle = bundle
        self.document: bytes = msgspec.json.encode(document)
        self.etag = f'"{sha256(self.document).hexdigest()[:32]}"'
