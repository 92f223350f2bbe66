"""Whole files and trees: sent, fetched, and made of texts, dicts, figures, images and tables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _media, _values
from runstone._client._artifacts import ArtifactCalls
from runstone._client._runs import RunCalls
from runstone._connection import new_id
from runstone._convert import artifacts as convert
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import ArtifactNotFound
from runstone.tracking.v1 import run_pb2

if TYPE_CHECKING:
    import pandas as pd

SMALL_BYTES = 2 * 2**20
"""What is made in memory goes in one call up to this; the server takes 4 MiB in all."""


class FileCalls(ArtifactCalls, RunCalls):
    """Calls that move whole files."""

    def check_local(self, path: Path) -> None:
        """Raise LocalPathError unless a file or folder to be sent is there and readable."""
        from runstone import _transfer

        _transfer.check_local(path)

    def upload(
        self,
        local: str | os.PathLike[str],
        artifact_path: str = "",
        *,
        run_id: str | None = None,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> None:
        """Send a file, or what stands in a folder, below a directory of a run or model.

        Raises:
            LocalPathError: it is missing, unreadable, or neither file nor folder.
            OwnerNotFound, OwnerDeleted, OwnerSealed, PathConflict
        """
        from runstone import _transfer

        owner = convert.owner(run_id, model_version_id, logged_model_id)
        source = Path(local)
        _transfer.check_local(source)
        if source.is_dir():
            _transfer.upload_tree(self._artifact, owner, source, artifact_path)
        else:
            target = f"{artifact_path}/{source.name}" if artifact_path else source.name
            _transfer.upload_file(self._artifact, owner, source, target)

    def log_artifact(
        self, run_id: str, local_path: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Send a file to a run, or a folder under its own name; see ``upload``."""
        source = Path(local_path)
        below = artifact_path or ""
        if source.is_dir():
            name = source.name or source.resolve().name
            below = f"{below}/{name}" if below else name
        self.upload(source, below, run_id=run_id)

    def log_artifacts(
        self, run_id: str, local_dir: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Send what stands in a folder to a run; see ``upload``."""
        self.upload(local_dir, artifact_path or "", run_id=run_id)

    def download_artifacts(
        self,
        run_id: str | None,
        path: str | None = "",
        dst_path: str | os.PathLike[str] | None = None,
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
        relative_to: str = "",
    ) -> str:
        """Fetch a file or a tree, everything without a path; returns where it is on this machine.

        The path is kept below ``dst_path``, which is created when missing; a new temporary folder
        without it. ``relative_to`` is the directory above it that is left out there. Bytes are
        checked against their digests.

        Raises:
            ArtifactNotFound: nothing stands at the path.
            RunNotFound: that is because there is no such run.
            ObjectDamaged
        """
        from runstone import _transfer

        owner = convert.owner(run_id, model_version_id, logged_model_id)
        path = (path or "").strip("/")
        # To the files' service no run is a run without files, which is fine to fetch.
        if run_id is not None and not path:
            first = artifact_pb2.ListArtifactsRequest(owner=owner, page_size=1)
            if not self._artifact.ListArtifacts(first).artifacts:
                self._require_run(run_id)
        target = Path(dst_path) if dst_path is not None else Path(tempfile.mkdtemp())
        try:
            return str(
                _transfer.download(self._artifact, owner, path, target, relative_to=relative_to)
            )
        except ArtifactNotFound:
            if run_id is not None:
                self._require_run(run_id)
            raise

    def _require_run(self, run_id: str) -> None:
        self._tracking.GetRun(run_pb2.GetRunRequest(run_id=run_id))

    def put_bytes(self, run_id: str, content: bytes, artifact_file: str) -> None:
        """Keep bytes as a file of a run."""
        if len(content) <= SMALL_BYTES:
            self.put_artifacts(run_id, {artifact_file: content})
            return
        from runstone import _transfer

        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "content"
            source.write_bytes(content)
            owner = convert.owner(run_id, None)
            _transfer.upload_file(self._artifact, owner, source, artifact_file)

    def read_bytes(
        self,
        run_id: str | None,
        path: str,
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> bytes:
        """A whole file, checked against its digest.

        Raises:
            ArtifactNotFound, PathConflict
            ObjectDamaged: the stored bytes are not what they were.
        """
        from runstone import _transfer

        owner = convert.owner(run_id, model_version_id, logged_model_id)
        return _transfer.read_file(self._artifact, owner, path)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Keep a text as a file of a run, in UTF-8."""
        self.put_bytes(run_id, text.encode("utf-8"), artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Keep a dict or list as YAML when the file ends in .yaml or .yml, else as JSON."""
        self.put_bytes(run_id, _media.dict_bytes(dictionary, artifact_file), artifact_file)

    def log_figure(
        self,
        run_id: str,
        figure: Any,
        artifact_file: str,
        *,
        save_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Keep a figure of matplotlib or plotly, as the file's ending says."""
        content = _media.figure_bytes(figure, artifact_file, save_kwargs)
        self.put_bytes(run_id, content, artifact_file)

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Keep an image: a PIL one, or an array (H, W) or (H, W, 1, 3 or 4).

        Args:
            run_id: An active run.
            image: Integer arrays hold 0 to 255, floating ones 0 to 1.
            artifact_file: Where to; or
            key: a series of images, by ``step`` and ``timestamp`` (Unix milliseconds).
            step: The step in the series; 0 when absent.
            timestamp: When it was made; now when absent.
            synchronous: Taken for MLflow's sake; the image is stored on return in any case.

        Raises:
            InvalidArgument: no image, or neither or both of ``artifact_file`` and ``key``.
        """
        del synchronous
        if bool(artifact_file) == bool(key):
            raise _values.invalid("artifact_file", "must be given, or else key")
        if not artifact_file:
            name = str(key).replace("/", "#")
            when = _values.timestamp_ms(timestamp)
            artifact_file = f"images/{name}%step%{step or 0}%timestamp%{when}%{new_id()}.png"
        self.put_bytes(run_id, _media.image_bytes(image, artifact_file), artifact_file)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Keep a table as JSON, below the rows that the file has already.

        Threads and processes of one machine may append to one table at once. From several machines
        they would lose rows: give each a file of its own, and read them with ``load_table``.

        Args:
            run_id: An active run.
            data: A DataFrame, or a dict of column to a list of values (or one value).
            artifact_file: Where to; ends in .json.

        Raises:
            InvalidArgument: no table, or the file is something else.
        """
        if _media.suffix(artifact_file) != ".json":
            raise _values.invalid("artifact_file", "must end in .json")
        from runstone._client._tables import alone

        with alone(str(self._targets.artifact), run_id, artifact_file):
            before: bytes | None
            try:
                before = self.read_bytes(run_id, artifact_file)
            except ArtifactNotFound:
                before = None
            content = _media.merged_table(before, data, artifact_file)
            self.put_bytes(run_id, content, artifact_file)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The tables that runs kept under one name, as one DataFrame.

        Args:
            experiment_id: Whose runs, when ``run_ids`` is not given.
            artifact_file: The table's file.
            run_ids: Only of these runs.
            extra_columns: Columns to add: ``run_id``, another attribute of ``run.info``, or the
                name of a param, metric or tag (``"params.lr"``).

        Raises:
            ArtifactNotFound: none of the runs has the file.
        """
        import pandas as pd

        from runstone._client._tables import extra_values, runs_of

        frames = []
        for run in runs_of(self, experiment_id, run_ids):
            try:
                content = self.read_bytes(run.info.run_id, artifact_file)
            except ArtifactNotFound:
                continue
            table = _media.read_table(content, artifact_file)
            frame = pd.DataFrame(table["data"], columns=table["columns"])
            for name, value in extra_values(run, extra_columns or ()).items():
                frame[name] = value
            frames.append(frame)
        if not frames:
            raise ArtifactNotFound(
                f"no run has the table {artifact_file}", metadata={"path": artifact_file}
            )
        return pd.concat(frames, ignore_index=True)
