"""How a model is served. The command line makes it, and workers read it from their parent."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

MAX_BODY_BYTES = 100 * 2**20
"""A body is read into memory whole, and may take ten times as much once it is a DataFrame."""

TIMEOUT_S = 60.0
"""As MLflow's scoring server has it."""

RELOAD_S = 5.0
"""Between two looks at the registry: one small call for each worker."""

GRACE_S = 30.0
"""What requests in progress get at the end; Kubernetes kills after 30 s unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One served model.

    Attributes:
        model_uri: Any URI of a model; of an alias or a stage, what it names is looked up again.
        name: Of the model in the Open Inference Protocol; "" for that of the URI.
        port: 0 for any free one.
        grpc_port: None for no gRPC.
        workers: Processes that share the port.
        threads: Predictions at the same time in each; 0 for as many as there are processors.
        timeout_s: What a request may take, its body included.
        batch_rows: Rows that one prediction of joined requests may have; 0 for none joined.
        batch_wait_ms: How long the first of them waits for others.
        allow_pickle: Whether code of the model's author may run; None asks the environment.
        reload_s: Between two looks at the registry; 0 for none.
        grace_s: What requests in progress get at the end.
        tracking_uri: None for what the environment says.
    """

    model_uri: str
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 5000
    grpc_port: int | None = None
    workers: int = 1
    threads: int = 0
    timeout_s: float = TIMEOUT_S
    max_body_bytes: int = MAX_BODY_BYTES
    batch_rows: int = 0
    batch_wait_ms: float = 5.0
    allow_pickle: bool | None = None
    reload_s: float = RELOAD_S
    grace_s: float = GRACE_S
    tracking_uri: str | None = None

    @property
    def threads_used(self) -> int:
        """Predictions at the same time."""
        return self.threads or max(2, os.cpu_count() or 1)

    def to_json(self) -> str:
        """For the command line of a worker."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """From what ``to_json`` gave."""
        found: dict[str, Any] = json.loads(text)
        return cls(**found)
