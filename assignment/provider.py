"""An OpenFeature provider that decides in the process that asks: no network between a page and its recommender.

    from openfeature import api
    api.set_provider_and_wait(InProcessProvider(ServiceSource("https://truelift.shop.example", token), track_to=log))
    api.get_client().get_string_value("rec.homepage", "popularity", EvaluationContext("user_1"))

What a flag is worth by the type it is asked as. A strategy parameter called `value` of that type comes first; else

    string    the served arm's key, control's where control is served; the strategy's name where no arm is
    boolean   whether a treatment is served
    object    {"variant": …, "strategy": …, "params": {…}}
    integer, float    nothing: TYPE_MISMATCH

The same bundle over HTTP answers with the same string; what it cannot know is the type that was asked for.

With a `log` it also keeps exposures, in the rows and by the rules of the service: `trigger: serve` before it answers,
`trigger: render` when the caller says that the slot was rendered: `client.track("exposure", …)`.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar, cast

import httpx
import msgspec
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from assignment.allocation import evaluate
from assignment.bundle import Bundle, compile_bundle
from assignment.decision import Decision
from assignment.event_log import EventLog
from assignment.flags import metadata_of, reason_of, value_of, variant_of
from assignment.recording import TOLD, Recorder
from experiments.contracts import NULL_TEXTS
from experiments.errors import TrueliftError, UsageError

EXPOSURE = "exposure"  # the tracking event that says a slot was rendered

Value = TypeVar("Value")
Listed = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class Source(Protocol):
    """Where a bundle comes from."""

    def newer(self, seen: str | None) -> tuple[str, Mapping[str, object]] | None:
        """Another document than the `seen` one, with what names it; else None. UsageError where it cannot be had."""

    def close(self) -> None:
        """Let go of what it holds."""


class FileSource:
    """A `bundle.v1` file. Replace it whole (write beside it, then rename): half a file is refused, not guessed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newer(self, seen: str | None) -> tuple[str, Mapping[str, object]] | None:
        """The file's document when the file is another than the `seen` one."""
        try:
            now = self._path.stat()
            name = f"{now.st_mtime_ns}-{now.st_size}-{now.st_ino}"
            return None if name == seen else (name, _document(self._path.read_bytes(), str(self._path)))
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror}; give the path of a bundle.v1 file") from error

    def close(self) -> None:
        """Nothing is held."""


class ServiceSource:
    """`GET /v1/config` of a running service, with its ETag: unchanged costs a 304."""

    def __init__(
        self, url: str, token: str, *, timeout_seconds: float = 5.0, client: httpx.Client | None = None
    ) -> None:
        """`url` is the service's own, without a path; `token` one with the scope `read`."""
        self._url = f"{url.rstrip('/')}/v1/config"
        self._client = client or httpx.Client(timeout=timeout_seconds)
        self._headers = {"authorization": f"Bearer {token}"}

    def newer(self, seen: str | None) -> tuple[str, Mapping[str, object]] | None:
        """The service's document when its ETag is another than the `seen` one."""
        headers = self._headers if not seen else {**self._headers, "if-none-match": seen}
        try:
            answer = self._client.get(self._url, headers=headers)
        except httpx.HTTPError as error:
            raise UsageError(f"{self._url}: {error}; is the service up, and is this its address?") from error
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if answer.status_code != httpx.codes.OK:
            raise UsageError(f"{self._url}: HTTP {answer.status_code}; check the token and its scope")
        return answer.headers.get("etag", ""), _document(answer.content, self._url)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _document(text: bytes, where: str) -> Mapping[str, object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: is not JSON: {error}; give a bundle.v1 document") from error
    if not isinstance(document, dict):
        raise UsageError(f"{where}: is a {type(document).__name__}, not an object; give a bundle.v1 document")
    return document


@dataclass(frozen=True, slots=True)
class Tracked:
    """Something a unit did, as `client.track` was told."""

    name: str
    at: datetime
    context: Mapping[str, object]  # with targetingKey
    value: float | None
    attributes: Mapping[str, object]


class InProcessProvider(AbstractProvider):
    """Decides from the newest bundle that could be had; looks for a newer one in a thread of its own."""

    def __init__(
        self,
        source: Source,
        *,
        poll_seconds: float = 30.0,
        track_to: Callable[[Tracked], None] | None = None,
        log: EventLog | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`log` keeps exposures; it stays the caller's, who closes it after the provider, and opens one a process."""
        super().__init__()
        self._source, self._poll_seconds, self._track_to, self._clock = source, poll_seconds, track_to, clock
        self._recorder = None if log is None else Recorder(log)
        self._bundle: Bundle | None = None
        self._seen: str | None = None
        self._stale = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = 0  # reloads that failed, since the start

    def get_metadata(self) -> Metadata:
        """Its name."""
        return Metadata(name="truelift in process")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - OpenFeature's signature
        """Load the first bundle. GeneralError where it cannot be had: every default is served until it can be."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._poll, name="truelift-bundle", daemon=True)
        try:
            self._reload()
        except TrueliftError as error:
            self._stale = True
            raise GeneralError(str(error)) from error
        finally:
            self._thread.start()

    def shutdown(self) -> None:
        """Stop looking for newer bundles; the last one goes on deciding."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._source.close()

    def refresh(self) -> bool:
        """Look for a newer bundle now; whether there was. What fails is counted, and the one before stays."""
        try:
            changed = self._reload()
        except TrueliftError as error:
            self.failures += 1
            self._stale = True
            self.emit_provider_stale(ProviderEventDetails(message=str(error)))
            return False
        if self._stale:
            self._stale = False
            self.emit_provider_ready(ProviderEventDetails())
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails())
        return changed

    def decide(self, flag_key: str, context: EvaluationContext | None) -> Decision | None:
        """The whole decision, for whoever logs the exposure; None before the first bundle."""
        bundle = self._bundle  # read once: a reload changes nothing for this request
        return None if bundle is None else _evaluated(bundle, flag_key, _attributes(context), self._clock())

    @property
    def control_served(self) -> int:
        """How often control was served in an arm's place because the exposure could not be kept, since the start."""
        return 0 if self._recorder is None else self._recorder.control_served

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Hand an event to `track_to`; with a `log`, keep the event "exposure" there: a slot was rendered.

        Its attributes: flag_key, of what the evaluation answered exposure_id and served_variant (the variant), and
        what only the page knows (items, page_category, …). UsageError for an event that has nowhere to go or is no
        exposure, SpoolError where it cannot be kept: nothing is dropped silently.
        """
        details = tracking_event_details or TrackingEventDetails()
        context = _attributes(evaluation_context)
        if tracking_event_name == EXPOSURE and self._recorder is not None:
            self._rendered(self._recorder, context, details.attributes)
            return
        if self._track_to is None:
            raise UsageError(f"event {tracking_event_name!r} has nowhere to go; give the provider track_to")
        self._track_to(Tracked(tracking_event_name, self._clock(), context, details.value, details.attributes))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether a treatment is served."""
        return self._resolve(flag_key, default_value, evaluation_context, _boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The served arm's key."""
        return self._resolve(flag_key, default_value, evaluation_context, _string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The served arm's parameter `value`, when it is a whole number."""
        return self._resolve(flag_key, default_value, evaluation_context, _integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The served arm's parameter `value`, when it is a number."""
        return self._resolve(flag_key, default_value, evaluation_context, _float)

    def resolve_object_details(
        self, flag_key: str, default_value: Listed, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Listed]:
        """The served arm with its strategy and parameters."""
        return self._resolve(flag_key, default_value, evaluation_context, _object)

    def _resolve(
        self,
        flag_key: str,
        default: Value,
        context: EvaluationContext | None,
        read: Callable[[Bundle, Decision], Value | None],
    ) -> FlagResolutionDetails[Value]:
        bundle = self._bundle  # read once: a reload changes nothing for this request
        if bundle is None:
            return FlagResolutionDetails(default, ErrorCode.PROVIDER_NOT_READY, "no bundle yet", Reason.ERROR)
        attributes, now = _attributes(context), self._clock()
        decision = _evaluated(bundle, flag_key, attributes, now)
        if decision.error is not None:
            return FlagResolutionDetails(
                default, ErrorCode(decision.error), f"{flag_key}: {decision.error}", Reason.ERROR
            )
        value, exposure_id = read(bundle, decision), None
        if value is not None and self._recorder is not None:  # a caller that gets its default meets no arm
            decision, exposure_id = self._recorder.recorded(bundle, decision, attributes, now)
            value = read(bundle, decision)
        if value is None:
            message = f"{flag_key} is {value_of(decision)!r}, which is not of the type asked for"
            return FlagResolutionDetails(default, ErrorCode.TYPE_MISMATCH, message, Reason.ERROR)
        return FlagResolutionDetails(
            value,
            reason=reason_of(decision),
            variant=variant_of(decision),
            flag_metadata=metadata_of(decision, exposure_id),
        )

    def _rendered(self, recorder: Recorder, context: Mapping[str, object], told: Mapping[str, object]) -> None:
        bundle, now, flag_key = self._bundle, self._clock(), told.get("flag_key")
        if strange := sorted(set(told) - TOLD):
            raise UsageError(f"exposure: {', '.join(strange)}: may be {', '.join(sorted(TOLD))}")
        if not isinstance(flag_key, str):
            raise UsageError(f"exposure: flag_key is {flag_key!r}; give the flag whose slot was rendered")
        if bundle is None:
            raise UsageError(f"exposure of {flag_key}: there is no bundle yet, so nothing was assigned")
        recorder.rendered(bundle, _evaluated(bundle, flag_key, context, now), context, told, now)

    def _reload(self) -> bool:
        newer = self._source.newer(self._seen)
        if newer is None:
            return False
        name, document = newer
        self._bundle = compile_bundle(document)
        self._seen = name
        return True

    def _poll(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self.refresh()
            if self._recorder is not None:
                self._recorder.look()


def _attributes(context: EvaluationContext | None) -> dict[str, object]:
    if context is None:
        return {}
    given: dict[str, object] = dict(context.attributes)
    if context.targeting_key is not None:
        given["targetingKey"] = context.targeting_key
    return given


def _evaluated(bundle: Bundle, flag_key: str, context: Mapping[str, object], now: datetime) -> Decision:
    """The decision; an id that stands for none, such as "null", is refused as the service refuses it."""
    decision = evaluate(bundle, flag_key, context, now)
    if decision.error is None and decision.unit_id in NULL_TEXTS:
        return msgspec.structs.replace(decision, error="INVALID_CONTEXT")
    return decision


def _boolean(bundle: Bundle, decision: Decision) -> bool | None:
    value = value_of(decision)
    if isinstance(value, bool):
        return value
    served = decision.served_variant
    return served is not None and served != bundle.plans[str(decision.experiment_key)].control.key


def _string(_: Bundle, decision: Decision) -> str:
    value = value_of(decision)
    return value if isinstance(value, str) else variant_of(decision)


def _integer(_: Bundle, decision: Decision) -> int | None:
    value = value_of(decision)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(_: Bundle, decision: Decision) -> float | None:
    value = value_of(decision)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _object(_: Bundle, decision: Decision) -> Listed:
    value = value_of(decision)
    if isinstance(value, (dict, list)):
        return value
    params = cast("Mapping[str, FlagValueType]", decision.params)  # JSON by the bundle's schema
    return {"variant": variant_of(decision), "strategy": decision.strategy, "params": params}
