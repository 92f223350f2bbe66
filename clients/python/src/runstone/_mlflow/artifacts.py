"""The artifact repository: files of runs and model versions by the native transfer."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from runstone._mlflow import entities, places
from runstone._mlflow.errors import speaks_mlflow
from runstone.exceptions import NotFound


@speaks_mlflow
class RunstoneArtifacts(ArtifactRepository):
    """The files below an artifact URI of ``places``, on the server of the tracking URI."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._place = places.parse(artifact_uri)
        self._client = places.client_for_artifacts(tracking_uri or registry_uri)

    def _path(self, below: str | None) -> str:
        """The path among the owner's files of one below the repository's URI."""
        parts = (self._place.path, (below or "").strip("/"))
        return "/".join(part for part in parts if part)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Send a file."""
        self._upload(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Send what stands in a folder."""
        self._upload(local_dir, artifact_path)

    def _upload(self, local: str, artifact_path: str | None) -> None:
        self._client.upload(local, self._path(artifact_path), **self._place.of)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """What stands in a directory; nothing for a file, or where nothing stands."""
        directory = self._path(path)
        found = self._client.list_artifacts(path=directory, **self._place.of)
        return [
            entities.file_info(each, self._place.path) for each in found if each.path != directory
        ]

    def download_artifacts(self, artifact_path: str | None, dst_path: str | None = None) -> str:
        """Fetch a file or a tree, its path kept below ``dst_path``; returns where it is."""
        if dst_path is not None and not Path(dst_path).is_dir():
            raise NotFound(f"the destination {dst_path} is no folder that exists")
        return self._client.download_artifacts(
            path=self._path(artifact_path),
            dst_path=None if dst_path is None else Path(dst_path).absolute(),
            relative_to=self._place.path,
            **self._place.of,
        )

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        path = self._path(remote_file_path)
        target = Path(local_path)
        arrived = self._client.download_artifacts(
            path=path,
            dst_path=target.parent,
            relative_to=path.rpartition("/")[0],
            **self._place.of,
        )
        Path(arrived).replace(target)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file or a tree; everything without a path."""
        self._client.delete_artifacts(path=self._path(artifact_path), **self._place.of)
