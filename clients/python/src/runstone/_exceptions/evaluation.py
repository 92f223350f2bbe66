"""What judging a model finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runstone._exceptions.kinds import FailedPrecondition


class ModelValidationFailed(FailedPrecondition):
    """Metrics of an evaluation miss their thresholds; ``metadata`` has a sentence for each."""

    _mlflow_code: ClassVar[str] = "BAD_REQUEST"

    @classmethod
    def of(cls, failed: Mapping[str, str]) -> ModelValidationFailed:
        """The exception for metrics, by name, and what each of them misses."""
        listed = "\n".join(f"- {sentence}" for sentence in failed.values())
        count = f"{len(failed)} metric{'s' * (len(failed) > 1)}"
        return cls(f"the model is not good enough by {count}:\n{listed}", metadata=failed)
