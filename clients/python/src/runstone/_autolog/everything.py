"""``runstone.autolog``: every library that can log by itself does so once it is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstone._arguments import checked
from runstone._autolog import libraries
from runstone._values import invalid


@checked
def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: Mapping[str, str] | None = None,
    exclude_flavors: Sequence[str] | None = None,
) -> None:
    """Have trainings log by themselves: parameters, metrics, plots, models.

    Each library that is imported, now or later, is turned on with its own defaults for all that is
    not said here; ``runstone.sklearn.autolog`` and its like say more, and the last call counts. A
    training goes to the active run, or to one that begins and ends with it. What cannot be logged
    is said once by the logger ``runstone``; it never stops a training.

    Args:
        log_input_examples: Keep the first rows that a model was trained on beside it.
        log_model_signatures: Say what a model takes and gives.
        log_models: Log the models.
        log_datasets: Say what was trained on, as inputs of the run.
        log_traces: Taken for MLflow's sake.
        disable: Turn them off instead.
        exclusive: Leave runs alone that somebody began.
        disable_for_unsupported_versions: Taken for MLflow's sake.
        silent: Say nothing of what cannot be logged.
        extra_tags: Tags of the runs that begin by themselves.
        exclude_flavors: Libraries to be left as they are.

    Raises:
        InvalidField: an argument is of the wrong type, or names a library that cannot do so.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> runstone.autolog(log_models=False)
        >>> with runstone.start_run() as run:
        ...     _ = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> runstone.get_run(run.info.run_id).data.metrics["training_score"]
        1.0
        >>> runstone.autolog(disable=True)
    """
    del log_traces, disable_for_unsupported_versions
    left_out = set(exclude_flavors or ())
    unknown = left_out - set(libraries.PLACES)
    if unknown:
        raise invalid(
            "exclude_flavors",
            f"names {', '.join(sorted(map(repr, unknown)))}; there are"
            f" {', '.join(libraries.PLACES)}",
        )
    for library in libraries.PLACES:
        if library not in left_out:
            libraries.turn(
                library,
                disable=disable,
                options={
                    "log_input_examples": log_input_examples,
                    "log_model_signatures": log_model_signatures,
                    "log_models": log_models,
                    "log_datasets": log_datasets,
                    "exclusive": exclusive,
                    "silent": silent,
                    "extra_tags": extra_tags,
                },
            )
