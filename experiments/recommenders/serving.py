"""Answer a service's requests with what was published, and take up what is published next without keeping anybody.

Of a request's context are read: `user_id`, else `targetingKey` (who asks), `session_items` (what was looked at, latest
last), `page_category`, and `request_id`, by which a drawn slate can be replayed.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from experiments.errors import NotFoundError, TrueliftError
from experiments.recommenders.base import Request, Requests
from experiments.recommenders.fitted import Fitted, parameters
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.published import POINTER, Loaded, load_published
from experiments.recommenders.recommended import NoListError, Recommended
from experiments.recommenders.rules import RULES, Rule
from experiments.recommenders.slates import CAUSES
from experiments.strategies import BUILT_IN

Params = Mapping[str, object]
Recommender = Callable[[str, Params, Params], Sequence[str]]  # strategy, params, context → item ids
_log = logging.getLogger("truelift.service")


class StrategyNotFittedError(NotFoundError, NoListError):
    """An arm names a strategy that nobody fitted, and that has no list."""


@dataclass(frozen=True, slots=True)
class _Ready:
    loaded: Loaded
    by_name: Mapping[str, Sequence[Fitted]]
    rungs: Sequence[Fitted]


class FittedStrategies:
    """Item ids by the fitted strategies of `published`, or of `lists` for what is not fitted. Threads may call it."""

    def __init__(
        self,
        published: Path,
        lists: Recommender,
        now: Callable[[], datetime],
        *,
        most: int,
        rules: Sequence[Rule] = RULES,
    ) -> None:
        """Read what is published. What cannot be read is logged, and everything then comes from `lists`."""
        self._published, self._lists, self._now, self._most, self._rules = published, lists, now, most, rules
        self._ready: _Ready | None = None
        self._read_at: tuple[int, int] | None = None
        self._reading = threading.Lock()
        self._look(wait=True)

    def __call__(self, strategy: str, params: Params, context: Params) -> Sequence[str]:
        """At most `most` item ids, best first, before the live stock is known.

        StrategyNotFittedError when neither a fitted strategy with these parameters nor a list answers.
        """
        self._look(wait=False)
        fitted = None if "items" in params else self._fitted(strategy, params)
        if fitted is None or self._ready is None:
            try:
                return self._lists(strategy, params, context)
            except LookupError as error:
                raise StrategyNotFittedError(
                    f"{strategy} with {dict(params)} is not in {self._published / POINTER}, and {error}; "
                    f"`truelift fit` fits what the shop's arms name"
                ) from error
        request = Request(
            request_id=_text(context.get("request_id")) or uuid4().hex,
            module="",
            k=self._most,
            now=self._now(),
            unit_id=_text(context.get("user_id")) or _text(context.get("targetingKey")),
            session_items=_texts(context.get("session_items")),
            category=_text(context.get("page_category")),
        )
        made = Pipeline(fitted, self._ready.rungs, self._rules).slates(Requests.of(request), self._ready.loaded.shelf)
        return Recommended.by(
            made.version,
            (str(made.index.ids[code]) for code in made.items[0].tolist() if code >= 0),
            own=int((made.source[0] == 0).sum()),
            cause=CAUSES[made.cause[0]],
        )

    def has(self, strategy: str, params: Params) -> bool:
        """Whether there is anything that answers for the strategy with these parameters."""
        if "items" not in params and self._fitted(strategy, params) is not None:
            return True
        try:
            self._lists(strategy, params, {})
        except (LookupError, OSError, ValueError):
            return False
        return True

    def _fitted(self, strategy: str, params: Params) -> Fitted | None:
        if self._ready is None or strategy not in BUILT_IN:
            return None
        wanted = parameters(strategy, params)
        return next((each for each in self._ready.by_name.get(strategy, ()) if each.params == wanted), None)

    def _look(self, *, wait: bool) -> None:
        """Read what is newly published: in a thread of its own, unless to be waited for."""
        try:
            stat = (self._published / POINTER).stat()
        except FileNotFoundError:
            return
        read_at = (stat.st_mtime_ns, stat.st_ino)
        if read_at == self._read_at or not self._reading.acquire(blocking=False):
            return
        self._read_at = read_at
        if wait:
            self._read()
        else:
            threading.Thread(target=self._read, name="fitted-strategies", daemon=True).start()

    def _read(self) -> None:
        try:
            loaded = load_published(self._published, self._now())
            by_name: dict[str, list[Fitted]] = {}
            for each in loaded.models:
                by_name.setdefault(each.name, []).append(each)
            firsts = {name: fitted[0] for name, fitted in by_name.items()}
            ready = _Ready(loaded, by_name, ladder(firsts))
            for each in loaded.models:  # what is only worked out once is worked out before anybody waits for it
                Pipeline(each, ready.rungs, self._rules).slates(
                    Requests.of(Request("", "", 1, self._now(), "")), loaded.shelf
                )
            self._ready = ready
        except (TrueliftError, OSError) as error:
            _log.error("the fitted strategies stay as they are: %s", error)
        finally:
            self._reading.release()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
