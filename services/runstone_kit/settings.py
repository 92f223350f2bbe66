"""Settings from the environment: one place that knows every ``RUNSTONE_`` name.

A field ``database_url`` of the tracking service is read from the first of these that is set:

    RUNSTONE_TRACKING_DATABASE_URL        this service only
    RUNSTONE_TRACKING_DATABASE_URL_FILE   the same, from a file (secrets only)
    RUNSTONE_DATABASE_URL                 every service
    RUNSTONE_DATABASE_URL_FILE            the same, from a file (secrets only)

A variable with the service's own prefix that is no setting is an error, and so is one that looks
like a mistyped server-wide name. Other services' names and the client's are left alone.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "RUNSTONE_"

SERVICES = ("TRACKING", "ARTIFACT", "REGISTRY", "GATEWAY", "SUITE")

CLIENT_NAMES = frozenset(
    PREFIX + name
    for name in (
        "ACTOR",
        "ARTIFACT_URI",
        "CACHE_DIR",
        "DATA_DIR",
        "DISABLE_PROGRESS",
        "EXPERIMENT_ID",
        "EXPERIMENT_NAME",
        "IDLE_TIMEOUT",
        "JOURNAL_DIR",
        "JOURNAL_MAX_BYTES",
        "JOURNAL_POLICY",
        "MODE",
        "PROGRESS",
        "REGISTRY_URI",
        "RUN_ID",
        "RUN_NAME",
        "TIMEOUT",
        "TRACKING_TIMEOUT",
        "TRACKING_TOKEN",
        "TRACKING_TOKEN_FILE",
        "ALLOW_PLAIN_TOKEN",
        "TRACKING_URI",
        "USER",
    )
)
"""Names the client reads; they may be set where a service runs and mean nothing to it."""

WORKER_NAMES = frozenset({"RUNSTONE_KIT_WORKER"})
"""Set by the kit itself for its worker processes."""

NEAR_MISS = 0.82
"""difflib ratio: finds RUNSTONE_DB_URL, and leaves RUNSTONE_OBJECTS_URL_FILE to its service."""


class SettingsError(ValueError):
    """The environment cannot be used; the message names the variable, never a secret's value."""


class BaseServiceSettings(BaseModel):
    """What every service can be told. Derive, set ``service``, add fields, override defaults."""

    service: ClassVar[str] = ""
    unused: ClassVar[frozenset[str]] = frozenset()
    """Settings of every service that mean nothing to this one; ``--help`` leaves them out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host/database or sqlite:///file"
    )
    listen: str = Field(
        "127.0.0.1:5051", description="host:port or unix:/path of the gRPC server; port 0: any"
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="port of /metrics on the listen host; unset: none"
    )
    tokens_file: Path | None = Field(
        None,
        description="names and digests of the tokens that callers must have, a line each, as"
        " `runstone auth create-token` prints them; unset: everybody may call",
    )
    service_token: SecretStr | None = Field(
        None, description="this service's own token, for the others when they ask for one"
    )
    workers: int = Field(1, ge=1, le=256, description="processes sharing the port")
    max_threads: int = Field(16, ge=1, le=1024, description="calls served at once, per process")
    max_waiting: int = Field(
        1_024, ge=1, description="calls that may wait for a thread, per process; more are refused"
    )
    pool_size: int | None = Field(
        None, ge=1, le=1024, description="database connections per process; unset: max_threads + 2"
    )
    default_deadline_s: float = Field(
        60.0, gt=0, description="seconds, for calls that come without a deadline"
    )
    shutdown_delay_s: float = Field(
        0.0, ge=0, description="seconds to serve on after NOT_SERVING, for load balancers to notice"
    )
    shutdown_grace_s: float = Field(
        10.0, ge=0, description="seconds that calls in progress get to end"
    )
    reflection: bool = Field(False, description="serve gRPC reflection")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    access_log: Literal["all", "failures", "off"] = "all"

    @property
    def connections(self) -> int:
        """Database connections per process: one a thread, one for a job, one for the ping."""
        return self.pool_size if self.pool_size is not None else self.max_threads + 2

    @property
    def own_token(self) -> str:
        """The service's token; empty without one."""
        return "" if self.service_token is None else self.service_token.get_secret_value()

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """The settings in the environment; ``overrides`` (by field name) win over it.

        Raises SettingsError for a value that does not fit, an unreadable secret file, or an
        unknown variable.
        """
        refuse_unknown(cls, os.environ)
        try:
            return cls(**(read_environment(cls, os.environ) | overrides))
        except ValidationError as error:
            raise SettingsError(_explain(cls, error)) from None


def variable_names(settings: type[BaseServiceSettings], field: str) -> list[str]:
    """The variables that can set ``field``, first wins."""
    wide = PREFIX + field.upper()
    own = f"{PREFIX}{settings.service.upper()}_{field.upper()}"
    names = [own, wide] if settings.service else [wide]
    if not is_secret(settings, field):
        return names
    return [each for name in names for each in (name, name + "_FILE")]


def is_secret(settings: type[BaseServiceSettings], field: str) -> bool:
    """Whether the field holds a secret, which may come from a file and is never shown."""
    return "SecretStr" in str(settings.model_fields[field].annotation)


def read_environment(
    settings: type[BaseServiceSettings], environ: Mapping[str, str]
) -> dict[str, str]:
    """Field name to value, for every field that the environment sets. Raises SettingsError."""
    values: dict[str, str] = {}
    for field in settings.model_fields:
        for name in variable_names(settings, field):
            if name not in environ:
                continue
            if name.endswith("_FILE") and is_secret(settings, field):
                if name.removesuffix("_FILE") in environ:
                    raise SettingsError(f"{name} and {name.removesuffix('_FILE')} are both set")
                values.setdefault(field, _read_secret(name, environ[name]))
            else:
                values.setdefault(field, environ[name])
    return values


def refuse_unknown(settings: type[BaseServiceSettings], environ: Mapping[str, str]) -> None:
    """Raise SettingsError for a variable that is meant for this service and that it lacks."""
    known = {name for field in settings.model_fields for name in variable_names(settings, field)}
    tolerated = known | CLIENT_NAMES | WORKER_NAMES
    own = f"{PREFIX}{settings.service.upper()}_" if settings.service else None
    others = tuple(f"{PREFIX}{service}_" for service in SERVICES)
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in tolerated:
            continue
        mine = own is not None and name.startswith(own)
        if not mine and name.startswith(others):
            continue
        if nearest := difflib.get_close_matches(name, known, 1, 0 if mine else NEAR_MISS):
            raise SettingsError(f"unknown variable {name}; did you mean {nearest[0]}?")


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"{name}: cannot read {path}: {reason}") from None


def _explain(settings: type[BaseServiceSettings], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        if field in settings.model_fields:
            names = [n for n in variable_names(settings, field) if n in os.environ]
            lines.append(f"{names[0] if names else field}: {problem['msg']}")
        else:
            lines.append(f"{field}: {problem['msg']}".lstrip(": "))
    return "; ".join(lines)
