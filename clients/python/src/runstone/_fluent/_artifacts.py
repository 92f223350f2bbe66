"""Files of the active run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runstone._arguments import checked
from runstone._fluent import _state
from runstone._fluent._logging import _destination

if TYPE_CHECKING:
    import pandas as pd


@checked
def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Keep a local file, or a folder under its own name, with the active run.

    Args:
        local_path: What to send; checked before anything is sent.
        artifact_path: The directory to put it in; the top when absent.
        run_id: Another run than the active one.

    Raises:
        LocalPathError: it is missing, unreadable, or neither file nor folder.
        PathConflict: the path is taken by a directory, or goes through a file.

    Example:
        >>> import pathlib, runstone
        >>> _ = pathlib.Path("notes.txt").write_text("3 layers")
        >>> with runstone.start_run() as run:
        ...     runstone.log_artifact("notes.txt", "docs")
        >>> runstone.artifacts.load_text(f"runs:/{run.info.run_id}/docs/notes.txt")
        '3 layers'
    """
    client, run = _destination(run_id)
    client.log_artifact(run, local_path, artifact_path)


@checked
def log_artifacts(
    local_dir: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Keep what stands in a local folder with the active run; see ``log_artifact``.

    Example:
        >>> import pathlib, runstone
        >>> pathlib.Path("report").mkdir()
        >>> _ = pathlib.Path("report/index.html").write_text("<p>good</p>")
        >>> with runstone.start_run() as run:
        ...     runstone.log_artifacts("report", "html")
        >>> files = runstone.artifacts.list_artifacts(f"runs:/{run.info.run_id}/html")
        >>> [file.path for file in files]
        ['html/index.html']
    """
    client, run = _destination(run_id)
    client.log_artifacts(run, local_dir, artifact_path)


@checked
def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a text as a file of the active run, in UTF-8.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_text("epoch 1: 0.5", "log/train.txt")
        >>> [f.path for f in runstone.artifacts.list_artifacts(run_id=run.info.run_id)]
        ['log']
    """
    client, run = _destination(run_id)
    client.log_text(run, text, artifact_file)


@checked
def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a dict or list as YAML when the file ends in .yaml or .yml, else as JSON.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_dict({"classes": [0, 1]}, "labels.json")
        >>> runstone.artifacts.load_dict(f"runs:/{run.info.run_id}/labels.json")
        {'classes': [0, 1]}
    """
    client, run = _destination(run_id)
    client.log_dict(run, dictionary, artifact_file)


@checked
def log_figure(
    figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None
) -> None:
    """Keep a figure of matplotlib (``figure.savefig``) or plotly, as the file's ending says.

    Raises:
        InvalidArgument: it is neither.

    Example:
        >>> import runstone
        >>> from matplotlib.figure import Figure
        >>> figure = Figure()
        >>> _ = figure.subplots().plot([1, 0.5, 0.25])
        >>> with runstone.start_run():
        ...     runstone.log_figure(figure, "plots/loss.png")
    """
    client, run = _destination(None)
    client.log_figure(run, figure, artifact_file, save_kwargs=save_kwargs)


@checked
def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
) -> None:
    """Keep an image with the active run, in a file or as one of a series.

    Args:
        image: A PIL image, or an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4);
            integers from 0 to 255, or floats from 0 to 1.
        artifact_file: Where to, such as ``"samples/0.png"``; or
        key: the name of a series of images, by ``step`` and ``timestamp``.
        step: The step in the series; 0 when absent.
        timestamp: Unix milliseconds; now when absent.
        synchronous: Taken for MLflow's sake; the image is stored on return in any case.

    Raises:
        InvalidArgument: no image, or neither or both of ``artifact_file`` and ``key``.

    Example:
        >>> import numpy, runstone
        >>> with runstone.start_run():
        ...     runstone.log_image(numpy.zeros((8, 8, 3), dtype="uint8"), "black.png")
    """
    client, run = _destination(None)
    client.log_image(run, image, artifact_file, key, step, timestamp, synchronous)


@checked
def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a table as JSON with the active run, below the rows that the file has already.

    Threads and processes of one machine may append to one table at once. From several machines they
    would lose rows: give each a file of its own.

    Args:
        data: A DataFrame, or a dict of column to a list of values (or one value).
        artifact_file: Where to; ends in .json.
        run_id: Another run than the active one.

    Raises:
        InvalidArgument: no table, or the file is something else.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_table({"x": [1, 2], "y": ["a", "b"]}, "rows.json")
        ...     runstone.log_table({"x": 3, "y": "c"}, "rows.json")
        >>> runstone.load_table("rows.json", run_ids=[run.info.run_id]).shape
        (3, 2)
    """
    client, run = _destination(run_id)
    client.log_table(run, data, artifact_file)


@checked
def load_table(
    artifact_file: str,
    run_ids: Sequence[str] | None = None,
    extra_columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The tables that runs kept under one name, as one DataFrame.

    Args:
        artifact_file: The table's file.
        run_ids: Of these runs; else of all runs of the active experiment.
        extra_columns: Columns to add: ``run_id``, another attribute of ``run.info``, or
            ``params.…``, ``metrics.…``, ``tags.…``.

    Raises:
        ArtifactNotFound: none of the runs has the file.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_table({"question": ["a", "b"], "answer": [1, 2]}, "answers.json")
        >>> table = runstone.load_table("answers.json", [run.info.run_id], ["run_id"])
        >>> list(table.columns), len(table)
        (['question', 'answer', 'run_id'], 2)
    """
    return _state.client().load_table(_state.experiment_id(), artifact_file, run_ids, extra_columns)


@checked
def get_artifact_uri(artifact_path: str | None = None) -> str:
    """The URI of a file of the active run, or of all of them: ``runs:/<run_id>/<path>``.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     uri = runstone.get_artifact_uri("model")
        >>> uri == f"runs:/{run.info.run_id}/model"
        True
    """
    _, run = _destination(None)
    path = (artifact_path or "").strip("/")
    return f"runs:/{run}/{path}" if path else f"runs:/{run}"
