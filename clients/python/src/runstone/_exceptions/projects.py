"""What goes wrong with projects; raised here, never sent by a server."""

from __future__ import annotations

from runstone._exceptions.kinds import FailedPrecondition


class ExecutionException(FailedPrecondition):
    """A project cannot be run, or its run failed: ``metadata`` has ``run_id`` where there is one.

    It has MLflow's name, so that what catches it goes on doing so.
    """


class ProjectInvalid(ExecutionException):
    """The MLproject file, the source, an entry point or a parameter is wrong; nothing was begun."""

    _mlflow_code = "INVALID_PARAMETER_VALUE"
