"""The client that writes to us: a few calls that others have no use for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstone._client import Client
from runstone._convert import artifacts as convert_artifacts
from runstone._convert import registry as convert_registry
from runstone._convert import times
from runstone._convert import tracking as convert
from runstone._entities.registry import ModelVersion
from runstone._entities.tracking import Run
from runstone._migrate.model import Points
from runstone._transfer.local import LocalFile
from runstone._transfer.progress import Silent
from runstone._transfer.tree import send
from runstone.registry.v1 import model_version_pb2
from runstone.tracking.v1 import metric_pb2, run_pb2


class TargetClient(Client):
    """Of the server that is imported into, or exported from."""

    def make_run(
        self,
        experiment_id: str,
        name: str,
        user_id: str,
        start_time: int | None,
        tags: Mapping[str, str],
        request_id: str,
    ) -> Run:
        """``create_run`` with the user who began it at the source."""
        request = run_pb2.CreateRunRequest(
            experiment_id=experiment_id,
            name=name,
            user_id=user_id,
            tags=tags,
            request_id=request_id,
        )
        if start_time is not None:
            request.start_time.CopyFrom(times.to_timestamp(start_time))
        return convert.run(self._tracking.CreateRun(request).run)

    def append_columns(self, run_id: str, points: Sequence[Points], writer_id: str) -> None:
        """Append points as the one batch of a writer; repeating it is fine."""
        request = metric_pb2.AppendMetricsRequest(
            run_id=run_id,
            writer_id=writer_id,
            sequence=1,
            series=[
                metric_pb2.Series(
                    key=each.key,
                    steps=each.steps,
                    timestamps_ms=each.timestamps,
                    values=each.values,
                )
                for each in points
            ],
        )
        self._tracking.AppendMetrics(request)

    def send_files(
        self,
        files: Sequence[LocalFile],
        *,
        run_id: str | None = None,
        model_version_id: str | None = None,
    ) -> None:
        """Send files, each to its path; see ``Client.upload``."""
        owner = convert_artifacts.owner(run_id, model_version_id)
        send(self._artifact, owner, files, Silent())

    def make_version(
        self,
        name: str,
        source: tuple[str, str] | str,
        description: str,
        tags: Mapping[str, str],
        request_id: str,
        run_link: str = "",
    ) -> ModelVersion:
        """Create the next version: of (run id, path), or PENDING, its files from that place."""
        request = model_version_pb2.CreateModelVersionRequest(
            name=name,
            description=description,
            tags=tags,
            request_id=request_id,
            run_link=run_link,
        )
        if isinstance(source, str):
            request.upload.origin = source
        else:
            request.run.run_id, request.run.path = source
        return convert_registry.model_version(
            self._registry.CreateModelVersion(request).model_version
        )
