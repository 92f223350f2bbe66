"""The client of offline mode: what runs log is kept in a folder, and the rest needs a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runstone import _settings, _values
from runstone._client import Client
from runstone._client._explain import explained
from runstone._client._metrics import messages_of
from runstone._client._runs import USER, status_value
from runstone._connection import new_id
from runstone._convert.tracking import status_name
from runstone._entities.tracking import (
    DatasetInput,
    Experiment,
    LoggedModelInput,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    RunTag,
)
from runstone._journal import outlet, rules
from runstone._offline import files, layout, records
from runstone._offline import store as stores
from runstone._offline.catalogue import Known, input_said
from runstone._offline.store import Copy, Store
from runstone._transfer import check_local
from runstone._transfer.local import files_below
from runstone._values import MAX_EXPERIMENT_TAG_VALUE, MAX_PARAM_VALUE, MAX_TAG_VALUE
from runstone.exceptions import (
    ArtifactNotFound,
    ExperimentNameTaken,
    OfflineMode,
    ParamImmutable,
    TagNotFound,
)
from runstone.tracking.v1 import metric_pb2

MAX_TAGS = 100
"""Of a new run or experiment; the server takes no more in one call."""

MAX_INPUTS = 100
"""Of one call, likewise."""

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, as the server's."""

MAX_NAME = 250
MAX_EXPERIMENT_NAME = 500
"""Characters, as the server's."""


@explained
class OfflineClient(Client):
    """What the fluent API logs through in offline mode.

    Args:
        folder: Where it is kept.
        where: As for Client; nothing there is called.
    """

    def __init__(self, folder: Path, **where: Any) -> None:
        super().__init__(**where)
        self.folder = folder
        outlet.redirect(self, lambda: self._store)

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "folder": self.folder}

    @property
    def _store(self) -> Store:
        return stores.store(self.folder, self.user)

    def _known(self, run_id: str) -> Known:
        found = self._store.catalogue.run(run_id)
        if found is None:
            raise OfflineMode(
                f"run {run_id} was not begun in {self.folder}, and {_settings.MODE}=offline says"
                " that there is no server to ask: name the folder that it was begun in by"
                f" {_settings.OFFLINE_DIR}, or run without {_settings.MODE}",
                metadata={"run_id": run_id},
            )
        return found

    def _require(self, keys: Sequence[str], tags: Callable[[], Mapping[str, str]]) -> None:
        if not all(key in tags() for key in keys):
            # Another process may have set them.
            self._store.catalogue.refresh()
        for key in keys:
            if key not in tags():
                raise TagNotFound(f"there is no tag {key!r}", metadata={"key": key})

    # Experiments.

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        request_id: str | None = None,
    ) -> str:
        """Note an experiment; delivery creates it, or uses the one that the server has."""
        if artifact_location:
            _values.warn("artifact_location is ignored: the server chooses where files are stored")
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_EXPERIMENT_NAME:
            raise _values.invalid("name", f"must have 1 to {MAX_EXPERIMENT_NAME} characters")
        if not name.isprintable():
            raise _values.invalid("name", "must not have control characters")
        if self.get_experiment_by_name(name) is not None:
            raise ExperimentNameTaken(
                f"there is an experiment {name!r} already", metadata={"name": name}
            )
        texts = _values.texts("tag", tags, MAX_EXPERIMENT_TAG_VALUE)
        rules.check_keys(texts, "tags", MAX_TAGS)
        self._store.add(records.EXPERIMENT, {"name": name, "tags": texts}, durable=True)
        return layout.NAMED + name

    def get_experiment(self, experiment_id: str) -> Experiment:
        """An experiment by the id that it has here; of one with a server's id only the id."""
        name = str(experiment_id).removeprefix(layout.NAMED)
        if name == experiment_id:
            return Experiment(str(experiment_id), "Default" if experiment_id == "0" else "")
        tags = self._store.catalogue.experiments.get(name, {})
        return Experiment(experiment_id, name, tags=dict(tags))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """An experiment that was noted here; None for others, whatever the server has."""
        if name == "Default":
            return self.get_experiment("0")
        catalogue = self._store.catalogue
        if name not in catalogue.experiments:
            catalogue.refresh()
        return self.get_experiment(layout.NAMED + name) if name in catalogue.experiments else None

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of an experiment, all or none."""
        texts = _values.texts("tag", tags, MAX_EXPERIMENT_TAG_VALUE)
        rules.check_keys(texts, "tags", MAX_TAGS)
        self._store.add(records.EXPERIMENT_TAGS, {"experiment": str(experiment_id), "tags": texts})

    def delete_experiment_tags(self, experiment_id: str, keys: Sequence[str]) -> None:
        """Delete tags that were set here, all or, when one was not, none. Raises TagNotFound."""
        self._require(keys, lambda: self.get_experiment(experiment_id).tags)
        self._store.add(
            records.EXPERIMENT_UNTAG, {"experiment": str(experiment_id), "keys": list(keys)}
        )

    # Runs.

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        *,
        request_id: str | None = None,
    ) -> Run:
        """Begin a run, with an id of its own; the server gives it another at delivery.

        Without ``run_name`` delivery makes one up.
        """
        texts = _values.texts("tag", tags, MAX_TAG_VALUE)
        rules.check_keys(texts, "tags", MAX_TAGS)
        if run_name and len(run_name) > MAX_NAME:
            raise _values.invalid("run_name", f"must have at most {MAX_NAME} characters")
        run_id = new_id()
        start = _moment("start_time", start_time)
        about = {
            "run_id": run_id,
            "experiment": str(experiment_id),
            "name": run_name or "",
            "user": texts.get(USER, self.user),
            "start_ms": start,
            "tags": texts,
        }
        store = self._store
        store.add(records.RUN, about, durable=True)
        return Run(store.catalogue.info(run_id, self._known(run_id)), RunData(tags=texts))

    def get_run(self, run_id: str) -> Run:
        """A run that was begun in the folder, with what is kept of it.

        ``metric_summaries`` are made by a server.

        Raises:
            OfflineMode: it was not begun there.
        """
        # Other processes may log to it too.
        self._store.catalogue.refresh()
        return self._store.catalogue.described(run_id, self._known(run_id))

    def update_run(
        self,
        run_id: str,
        status: str | int | None = None,
        name: str | None = None,
        *,
        end_time: int | None = None,
    ) -> RunInfo:
        """Change status, name or end time (Unix milliseconds) of a run of the folder."""
        known = self._known(run_id)
        about: dict[str, Any] = {"run_id": run_id}
        if name is not None:
            if len(name) > MAX_NAME:
                raise _values.invalid("name", f"must have at most {MAX_NAME} characters")
            about["name"] = name
        if status is not None:
            about["status"] = status_name(status_value(status))
            if not RunStatus.is_terminated(about["status"]):
                about["end_ms"] = None
        if end_time is not None:
            about["end_ms"] = _moment("end_time", end_time)
        if len(about) > 1:
            if about.get("end_ms"):
                # Nobody may find the end of a run on the disk without its last points.
                self._store.secure()
            self._store.add(records.UPDATE, about, durable=True)
        return self._store.catalogue.info(run_id, known)

    def log_param(self, run_id: str, key: str, value: Any) -> Any:
        """Set a parameter. Raises ParamImmutable when another value of it was kept."""
        self.log_batch(run_id, params={key: value})
        return value

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        """Set a tag."""
        self.log_batch(run_id, tags={key: value})

    def delete_run_tags(self, run_id: str, keys: Sequence[str]) -> None:
        """Delete tags of a run of the folder. Raises TagNotFound."""
        self._require(keys, lambda: self._known(run_id).tags)
        self._store.add(records.UNTAG, {"run_id": run_id, "keys": list(keys)})

    def log_inputs(
        self,
        run_id: str,
        datasets: Iterable[DatasetInput] | None = None,
        models: Iterable[LoggedModelInput] | None = None,
    ) -> None:
        """Note data sets that a run reads. Raises OfflineMode for logged models."""
        self._known(run_id)
        if list(models or ()):
            raise OfflineMode("logged models need a server")
        inputs = [input_said(each) for each in datasets or ()]
        if not 1 <= len(inputs) <= MAX_INPUTS:
            raise _values.invalid("inputs", f"must be 1 to {MAX_INPUTS}, not {len(inputs)}")
        self._store.add(records.INPUTS, {"run_id": run_id, "inputs": inputs})

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] | Mapping[str, Any] = (),
        tags: Sequence[RunTag] | Mapping[str, Any] = (),
    ) -> None:
        """Set parameters and tags and append points; what is wrong is told before anything is."""
        known = self._known(run_id)
        if any(each.model_id for each in metrics):
            raise OfflineMode("metrics of logged models need a server")
        some_params = _values.texts("param", params, MAX_PARAM_VALUE)
        some_tags = _values.texts("tag", tags, MAX_TAG_VALUE)
        rules.check_keys(some_params, "params")
        rules.check_keys(some_tags, "tags")
        for key, value in some_params.items():
            before = known.params.get(key, value)
            if before != value:
                raise ParamImmutable(
                    f"param {key!r} of run {run_id} is {before!r:.200} already and cannot become"
                    f" {value!r:.200}",
                    metadata={"run_id": run_id, "key": key},
                )
        for part in records.split(some_params):
            self._store.add(records.PARAMS, {"run_id": run_id, "params": part})
        for part in records.split(some_tags):
            self._store.add(records.TAGS, {"run_id": run_id, "tags": part})
        if metrics:
            self.append_metrics(run_id, metrics)

    def append_metrics(
        self,
        run_id: str,
        series: Iterable[metric_pb2.Series] | Iterable[Metric] | Mapping[str, Sequence[Any]],
        *,
        rank: int | None = None,
        writer_id: str | None = None,
        sequence: int | None = None,
    ) -> bool:
        """Append points of many series; they are on this machine's disk on return.

        Their writer is the folder's.
        """
        self._known(run_id)
        if writer_id is not None or sequence is not None:
            raise OfflineMode(
                "batches of one's own numbers need a server: leave out writer_id and sequence"
            )
        every = messages_of(series, rank)
        rules.check_keys([each.key for each in every])
        for each in every:
            of_rank = each.rank if each.HasField("rank") else None
            for place, value in enumerate(each.values):
                step, timestamp = each.steps[place], each.timestamps_ms[place]
                self._store.journal.log(run_id, of_rank, {each.key: value}, step, timestamp)
        self._store.secure()
        return False

    # Files.

    def upload(
        self,
        local: str | os.PathLike[str],
        artifact_path: str = "",
        *,
        run_id: str | None = None,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> None:
        """Keep copies of a file, or of what stands in a folder; see ``Client.upload``."""
        if run_id is None:
            super().upload(
                local,
                artifact_path,
                model_version_id=model_version_id,
                logged_model_id=logged_model_id,
            )
            return
        self._known(run_id)
        source = Path(local)
        check_local(source)
        if source.is_dir():
            found = [(each.source, each.path) for each in files_below(source, artifact_path)]
        else:
            name = f"{artifact_path}/{source.name}" if artifact_path else source.name
            found = [(source, name)]
        for _, path in found:
            files.check_path(path)
        copies = {path: _copying(files.keep_file, each) for each, path in found}
        self._store.keep(run_id, copies)

    def put_bytes(self, run_id: str, content: bytes, artifact_file: str) -> None:
        """Keep bytes as a file of a run."""
        self._known(run_id)
        files.check_path(artifact_file)
        self._store.keep(run_id, {artifact_file: _copying(files.keep_bytes, content)})

    def read_bytes(
        self,
        run_id: str | None,
        path: str,
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> bytes:
        """A file of a run of the folder. Raises ArtifactNotFound."""
        if run_id is None:
            return super().read_bytes(
                None, path, model_version_id=model_version_id, logged_model_id=logged_model_id
            )
        # Another process may have kept a later one.
        self._store.catalogue.refresh()
        kept = self._known(run_id).files.get(path)
        if kept is None:
            raise ArtifactNotFound(f"run {run_id} has no {path}", metadata={"path": path})
        return (kept.part / layout.FILES / kept.file).read_bytes()


def _moment(field: str, value: int | None) -> int:
    """Unix milliseconds; now when absent. Raises InvalidField for what no server takes."""
    number = _values.timestamp_ms(value)
    if not 0 <= number <= LAST_MS:
        raise _values.invalid(field, f"must be Unix milliseconds before the year 10000: {number}")
    return number


def _copying(how: Callable[[Any, Path], tuple[int, str]], what: Path | bytes) -> Copy:
    return lambda target: how(what, target)
