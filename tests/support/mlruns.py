"""A folder `mlruns`, written by hand: small, and with what MLflow's own client would not write."""

from collections.abc import Iterable, Mapping
from pathlib import Path

START = 1_700_000_000_000


def experiment(
    root: Path,
    experiment_id: str,
    name: str,
    tags: Mapping[str, str] | None = None,
    *,
    stage: str = "active",
) -> Path:
    """An experiment; its folder."""
    folder = root / experiment_id
    _write(
        folder / "meta.yaml",
        f"experiment_id: '{experiment_id}'\nname: {name}\nlifecycle_stage: {stage}\n"
        f"creation_time: {START}\nlast_update_time: {START}\n",
    )
    for key, value in (tags or {}).items():
        _write(folder / "tags" / key, value)
    return folder


def run(
    experiment: Path,
    run_id: str,
    *,
    status: int = 3,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, Iterable[str]] | None = None,
    files: Mapping[str, bytes] | None = None,
    stage: str = "active",
) -> Path:
    """A run, its points as lines "timestamp value step"; its folder."""
    folder = experiment / run_id
    _write(
        folder / "meta.yaml",
        f"run_id: {run_id}\nrun_name: run {run_id[:4]}\nstatus: {status}\nuser_id: me\n"
        f"start_time: {START}\nend_time: {START + 5}\nlifecycle_stage: {stage}\n"
        f"experiment_id: '{experiment.name}'\nartifact_uri: /moved/away/{run_id}/artifacts\n",
    )
    for kind, texts in (("params", params), ("tags", tags)):
        for key, value in (texts or {}).items():
            _write(folder / kind / key, value)
    for key, lines in (metrics or {}).items():
        _write(folder / "metrics" / key, "".join(f"{line}\n" for line in lines))
    for path, content in (files or {}).items():
        target = folder / "artifacts" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def model(root: Path, name: str, versions: Mapping[int, str]) -> None:
    """A registered model; number to source of each version."""
    folder = root / "models" / name
    _write(folder / "meta.yaml", f"name: {name}\ncreation_timestamp: {START}\n")
    for number, source in versions.items():
        _write(
            folder / f"version-{number}" / "meta.yaml",
            f"name: {name}\nversion: {number}\nsource: {source}\ncurrent_stage: Staging\n"
            f"creation_timestamp: {START}\nstatus: READY\nrun_link: http://ci/{number}\n",
        )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
