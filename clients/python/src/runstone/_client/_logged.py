"""Logged models: what training code made, with files of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runstone import _values
from runstone._client._experiments import view
from runstone._client._files import FileCalls
from runstone._connection import new_id
from runstone._convert import logged as convert
from runstone._convert import times
from runstone._entities.artifacts import FileInfo
from runstone._entities.logged import LoggedModel, PurgedLoggedModels
from runstone._entities.paging import PagedList
from runstone._entities.tracking import ViewType
from runstone._values import MAX_PARAM_VALUE, MAX_TAG_VALUE
from runstone.tracking.v1 import logged_model_pb2 as pb


class LoggedModelCalls(FileCalls):
    """Calls about logged models."""

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str | None = None,
        *,
        request_id: str | None = None,
    ) -> LoggedModel:
        """Create a logged model, PENDING; a name is made up if absent.

        Args:
            experiment_id: An active experiment.
            name: At most 500 characters, without any of / : . % " '.
            source_run_id: The run that made it.
            tags: Its tags.
            params: Its parameters, each immutable once set.
            model_type: What kind of model it is.
            request_id: Makes a repeated call return the first one's result.

        Raises:
            ExperimentNotFound, ExperimentDeleted, LoggedModelTooLarge

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> model = client.create_logged_model("0", name="churn", params={"depth": 3})
            >>> model.status
            'PENDING'
            >>> run = client.create_run("0").info.run_id
            >>> client.log_metric(run, "auc", 0.9, model_id=model.model_id, dataset_name="test")
            >>> model = client.finalize_logged_model(model.model_id, "READY")
            >>> model.status, model.metrics[0].value, dict(model.params)
            ('READY', 0.9, {'depth': '3'})
        """
        request = pb.CreateLoggedModelRequest(
            experiment_id=str(experiment_id),
            name=name or "",
            model_type=model_type or "",
            source_run_id=source_run_id or "",
            params=_values.texts("param", params, MAX_PARAM_VALUE),
            tags=_values.texts("tag", tags, MAX_TAG_VALUE),
            request_id=request_id or new_id(),
        )
        return convert.logged_model(self._tracking.CreateLoggedModel(request).model)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """The model with all it holds, deleted or not. Raises LoggedModelNotFound."""
        self._settle()
        request = pb.GetLoggedModelRequest(model_id=model_id)
        return convert.logged_model(self._tracking.GetLoggedModel(request).model)

    def logged_model_of(self, run_id: str, name: str) -> LoggedModel | None:
        """The newest logged model of that name that a run made; None when there is none.

        What ``runs:/<run_id>/<name>`` means where no files of the run stand at that path.

        Raises:
            RunNotFound
        """
        run = self.get_run(run_id)
        if not name or set(name) & set("/:.%\"'"):
            return None  # no name that a logged model can have
        found = self.search_logged_models(
            run.info.experiment_id,
            f"name = '{name}' AND source_run_id = '{run_id}'",
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            max_results=1,
        )
        return found[0] if found else None

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say how the making of a model ended: READY, or FAILED.

        Raises:
            LoggedModelNotFound, LoggedModelDeleted
        """
        request = pb.FinalizeLoggedModelRequest(
            model_id=model_id, status=convert.status_value(status)
        )
        return convert.logged_model(self._tracking.FinalizeLoggedModel(request).model)

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a model; it stays readable by its id until it is purged.

        Raises:
            LoggedModelNotFound
        """
        self._tracking.DeleteLoggedModel(pb.DeleteLoggedModelRequest(model_id=model_id))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[Mapping[str, Any]] | None = None,
        page_token: str | None = None,
        *,
        view_type: int = ViewType.ACTIVE_ONLY,
    ) -> PagedList[LoggedModel]:
        """One page of the models that match; ``token`` of the result leads to the next.

        Args:
            experiment_ids: Where to look.
            filter_string: Over metrics, params, tags and attributes; a metric's comparison is true
                when it is so of any of the model's points.
            datasets: ``{"dataset_name": …, "dataset_digest": …}`` each, the digest optional: the
                filter's metrics are those on one of these.
            max_results: 100 unless said, 1000 at most.
            order_by: ``{"field_name": "metrics.auc", "ascending": False}`` each, for a metric also
                with ``dataset_name`` and ``dataset_digest``.
            page_token: Where to go on.
            view_type: Deleted models too, or alone.

        Raises:
            FilterInvalid, PageTokenInvalid, PageTokenOfOtherQuery

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> experiment = client.create_experiment("models")
            >>> small = client.create_logged_model(experiment, "small", params={"depth": 2})
            >>> large = client.create_logged_model(experiment, "large", params={"depth": 9})
            >>> found = client.search_logged_models(experiment, "params.depth = '9'")
            >>> [model.name for model in found]
            ['large']
        """
        self._settle()
        ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
        response = self._tracking.SearchLoggedModels(
            pb.SearchLoggedModelsRequest(
                experiment_ids=[str(each) for each in ids],
                filter=filter_string or "",
                datasets=[convert.metric_dataset(each) for each in datasets or ()],
                order_by=convert.order(order_by or ()),
                view_type=view(view_type),
                page_size=max_results or 0,
                page_token=page_token or "",
            )
        )
        return PagedList(map(convert.logged_model, response.models), response.next_page_token)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of an active model, all or none.

        Raises:
            LoggedModelNotFound, LoggedModelDeleted, LoggedModelTooLarge
        """
        texts = _values.texts("tag", tags, MAX_TAG_VALUE)
        self._tracking.SetLoggedModelTags(
            pb.SetLoggedModelTagsRequest(model_id=model_id, tags=texts)
        )

    def delete_logged_model_tags(self, model_id: str, keys: Sequence[str]) -> None:
        """Delete tags of an active model, all or, when one is not set, none.

        Raises:
            LoggedModelNotFound, LoggedModelDeleted, TagNotFound
        """
        self._tracking.DeleteLoggedModelTags(
            pb.DeleteLoggedModelTagsRequest(model_id=model_id, keys=list(keys))
        )

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Delete one tag of an active model."""
        self.delete_logged_model_tags(model_id, [key])

    def log_logged_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        """Add parameters to an active model; one with the same value is fine.

        Raises:
            ParamImmutable: one has another value.
            LoggedModelNotFound, LoggedModelDeleted, LoggedModelTooLarge
        """
        texts = _values.texts("param", params, MAX_PARAM_VALUE)
        self._tracking.LogLoggedModelParams(
            pb.LogLoggedModelParamsRequest(model_id=model_id, params=texts)
        )

    def purge_logged_models(
        self,
        model_ids: Sequence[str] = (),
        *,
        deleted_before: int | None = None,
        dry_run: bool = False,
    ) -> PurgedLoggedModels:
        """Remove deleted models for good: those named, else all, 1000 a call.

        Their files are not touched: delete those before. ``deleted_before`` is in Unix
        milliseconds.

        Raises:
            LoggedModelNotFound, LoggedModelNotDeleted
        """
        request = pb.PurgeLoggedModelsRequest(model_ids=list(model_ids), dry_run=dry_run)
        if deleted_before is not None:
            request.deleted_before.CopyFrom(times.to_timestamp(deleted_before))
        response = self._tracking.PurgeLoggedModels(request)
        return PurgedLoggedModels(list(response.model_ids), response.more)

    def log_model_artifact(
        self,
        model_id: str,
        local_path: str | os.PathLike[str],
        artifact_path: str | None = None,
    ) -> None:
        """Send a file to a logged model; see ``upload``."""
        self.upload(local_path, artifact_path or "", logged_model_id=model_id)

    def log_model_artifacts(
        self, model_id: str, local_dir: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Send what stands in a folder to a logged model; see ``upload``.

        Example:
            >>> import pathlib, tempfile, runstone
            >>> client = runstone.Client()
            >>> folder = pathlib.Path(tempfile.mkdtemp())
            >>> _ = (folder / "weights.bin").write_bytes(b"123")
            >>> model = client.create_logged_model("0")
            >>> client.log_model_artifacts(model.model_id, folder)
            >>> [file.path for file in client.list_logged_model_artifacts(model.model_id)]
            ['weights.bin']
        """
        self.upload(Path(local_dir), artifact_path or "", logged_model_id=model_id)

    def list_logged_model_artifacts(self, model_id: str, path: str | None = None) -> list[FileInfo]:
        """What stands in a directory of a logged model's files, the top when absent."""
        return self.list_artifacts(path=path, logged_model_id=model_id)
