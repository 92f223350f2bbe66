"""What the suite can be told, by the environment or by `runstone server`."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from runstone_kit.settings import PREFIX, BaseServiceSettings

DEFAULT_PORT = 5051
HTTP_PORT = 5000
DEFAULT_DATA_DIR = Path("runstone-data")

IDLE_SECONDS = 30.0
"""Long enough that a script started again finds its suite warm, short enough to be forgotten."""


class SuiteSettings(BaseServiceSettings):
    """Settings of all services in one process; each also reads its own, RUNSTONE_TRACKING_….

    Without database_url and objects_url the services keep SQLite files in data_dir, and artifacts
    in data_dir/objects.
    """

    service: ClassVar[str] = "suite"

    data_dir: Path = Field(DEFAULT_DATA_DIR, description="folder of an embedded suite")
    objects_url: SecretStr | None = Field(
        None, description="s3+http://key:secret@host:port/bucket (or s3+https) or file:///folder"
    )
    objects_public_url: str | None = Field(
        None, description="http(s)://host:port where clients reach the object store, if elsewhere"
    )
    http_port: int | None = Field(
        HTTP_PORT,
        ge=0,
        le=65535,
        description="port of MLflow's REST API on the listen host; empty: none",
    )
    idle_timeout: float = Field(
        IDLE_SECONDS,
        gt=0,
        description="seconds unused until a background suite ends",
    )
    # A person reads what this process writes, or nobody does.
    access_log: Literal["all", "failures", "off"] = "failures"
    log_format: Literal["json", "console"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @field_validator("objects_url", "objects_public_url", "http_port", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        # As the artifact service takes it.
        return None if value == "" else value


EMBEDDED_FIELDS = frozenset({"IDLE_TIMEOUT", "LOG_LEVEL", "LOG_FORMAT", "ACCESS_LOG"})
"""What a background suite takes from the environment: how it logs and how long it stays."""


def leave_servers_out(environ: MutableMapping[str, str]) -> None:
    """Drop every variable that is meant for a server, before a background suite reads any.

    It serves one folder to every process that uses the folder. Where its data are must not depend
    on which of them happened to start it, nor its port and workers on a server of the same machine.
    """
    for name in [name for name in environ if name.startswith(PREFIX)]:
        own = name.removeprefix(PREFIX).removeprefix("SUITE_")
        foreign = own.removesuffix("_FILE").lower() in SuiteSettings.model_fields
        mistyped = name.startswith(f"{PREFIX}SUITE_") and not foreign
        if own not in EMBEDDED_FIELDS and not mistyped:
            del environ[name]
