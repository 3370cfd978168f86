"""What a service may be told: limits, origins, intervals. Each from the environment, TRUELIFT_SERVE_<NAME>."""

from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from experiments.errors import DefinitionError, Problem


class ServiceSettings(BaseSettings):
    """Limits hold for one worker, except requests_per_second, which all workers share out evenly."""

    model_config = SettingsConfigDict(env_prefix="TRUELIFT_SERVE_", extra="forbid", frozen=True, env_ignore_empty=True)

    body_bytes: Annotated[int, Field(ge=1024)] = 1 << 20  # a longer body is refused with 413
    events: Annotated[int, Field(ge=1, le=100_000)] = 1_000  # a longer array of events too
    requests_per_second: Annotated[float, Field(gt=0)] = 2_000.0  # of one token
    burst_seconds: Annotated[float, Field(gt=0)] = 2.0  # of that rate, saved up while a token is quiet
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    cors_origins: tuple[str, ...] = ("*",)
    poll_seconds: Annotated[float, Field(gt=0)] = 1.0  # between two looks at the store's version and the disk
    deadline_ms: Annotated[int, Field(ge=1)] = 100  # of a recommender
    fsync_always: bool = False  # True: an answer waits until its event is safe from a power cut
    shutdown_seconds: Annotated[int, Field(ge=1)] = 10  # for requests that are being answered

    @classmethod
    def read(cls) -> Self:
        """From the environment. DefinitionError with every wrong one."""
        try:
            return cls()
        except ValidationError as error:
            raise DefinitionError(
                "environment",
                [
                    Problem(
                        "wrong_type",
                        f"TRUELIFT_SERVE_{'_'.join(map(str, found['loc'])).upper()}",
                        found["input"],
                        f"{found['msg'][:1].lower()}{found['msg'][1:].replace('Input', 'it')}, not {found['input']!r}",
                    )
                    for found in error.errors()
                ],
            ) from error
