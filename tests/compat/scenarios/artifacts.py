"""Artifacts of a run: log files, folders, text, dicts, images; list, download, delete."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import mlflow
from _recorder import Recorder
from mlflow.artifacts import download_artifacts, list_artifacts, load_dict, load_text

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)
run_id = client.create_run(experiment, 1000, run_name="run").info.run_id


def tree(path=None, of=run_id, depth=5):
    """Not without end: of a folder named %2e%2e MLflow lists the folder above."""
    found = []
    for each in client.list_artifacts(of, path) if depth else ():
        found.append([each.path, each.is_dir, each.file_size])
        if each.is_dir:
            found += tree(each.path, of, depth - 1)
    return found


def sums(folder):
    root = Path(folder)
    return {
        str(each.relative_to(root)): hashlib.sha256(each.read_bytes()).hexdigest()[:16]
        for each in sorted(root.rglob("*"))
        if each.is_file()
    }


source = r.folder / "source"
(source / "deep" / "er").mkdir(parents=True)
(source / "empty.txt").write_bytes(b"")
(source / "deep" / "one.txt").write_bytes(b"one")
(source / "deep" / "er" / "two.bin").write_bytes(bytes(range(256)) * 1000)
(source / "größe ✓.txt").write_bytes("ü".encode())
(source / "with space.txt").write_bytes(b"space")
(source / "per%20cent+plus.txt").write_bytes(b"percent")
(source / "semi;colon&amp.txt").write_bytes(b"semi")

r.call("list: none", client.list_artifacts, run_id)
r.call("log: file", client.log_artifact, run_id, str(source / "deep" / "one.txt"))
r.call(
    "log: file into a folder",
    client.log_artifact,
    run_id,
    str(source / "deep" / "one.txt"),
    "in/side",
)
r.call("log: file again", client.log_artifact, run_id, str(source / "deep" / "one.txt"))
r.call("log: folder", client.log_artifacts, run_id, str(source), "all")
r.call("log: folder as artifact", client.log_artifact, run_id, str(source / "deep"), "as")
r.call("log: text", client.log_text, run_id, "héllo", "text/a.txt")
r.call("log: text again", client.log_text, run_id, "other", "text/a.txt")
r.call("log: empty text", client.log_text, run_id, "", "text/empty.txt")
r.call("log: dict", client.log_dict, run_id, {"a": [1, None, "x"]}, "d/dict.json")
r.call("log: yaml", client.log_dict, run_id, {"a": [1, None, "x"]}, "d/dict.yaml")
r.call("log: missing file", client.log_artifact, run_id, str(r.folder / "none"))
r.call("log: unknown run", client.log_artifact, "0" * 32, str(source / "deep" / "one.txt"))
r.call("tree", tree)
r.call("list: folder", client.list_artifacts, run_id, "all")
r.call("list: trailing slash", client.list_artifacts, run_id, "all/")
r.call("list: file", client.list_artifacts, run_id, "text/a.txt")
r.call("list: unknown", client.list_artifacts, run_id, "nowhere")
r.call("list: unknown run", client.list_artifacts, "0" * 32)
for wrong in (
    "..",
    "../x",
    "/etc",
    "a/../../b",
    "%2e%2e",
    "%252e%252e",
    "a//b",
    "file:///etc",
    "C:/x",
    "a?b",
    "a#b",
):
    own = client.create_run(experiment, 1000, run_name="wrong").info.run_id
    client.log_text(own, "x", "good.txt")
    r.call(f"list: {wrong}", client.list_artifacts, own, wrong)
    r.call(f"log: {wrong}", client.log_text, own, "x", f"{wrong}/x.txt")
    r.call(f"log into: {wrong}", client.log_artifact, own, str(source / "deep" / "one.txt"), wrong)
    r.call(f"download: {wrong}", lambda: sums(client.download_artifacts(own, wrong)))
    r.call(f"tree after: {wrong}", tree, of=own, depth=2)
r.call("tree after wrong ones", tree)

# --- Download ---------------------------------------------------------------------------------

for item, path in {
    "folder": "all",
    "inner folder": "all/deep",
    "file's folder": "text",
    "everything": "",
}.items():
    target = r.folder / f"down-{item}"
    target.mkdir()
    r.call(f"download: {item}", lambda: sums(client.download_artifacts(run_id, path, str(target))))
for path in (
    "text/a.txt",
    "all/größe ✓.txt",
    "all/with space.txt",
    "all/per%20cent+plus.txt",
    "all/semi;colon&amp.txt",
    "all/empty.txt",
):
    r.call(f"download: {path}", lambda: Path(client.download_artifacts(run_id, path)).read_bytes())
r.call("download: unknown", client.download_artifacts, run_id, "nowhere")
r.call("download: unknown run", client.download_artifacts, "0" * 32, "a")
r.call("download: by uri", lambda: sums(download_artifacts(f"runs:/{run_id}/all/deep")))
r.call(
    "download: by artifact uri",
    lambda: Path(
        download_artifacts(client.get_run(run_id).info.artifact_uri + "/text/a.txt")
    ).read_text(),
)
r.call("load text", load_text, f"runs:/{run_id}/text/a.txt")
r.call("load dict", load_dict, f"runs:/{run_id}/d/dict.json")
r.call("list: by uri", list_artifacts, f"runs:/{run_id}/all")
r.call("list: by run", list_artifacts, run_id=run_id, artifact_path="d")

# --- A larger file ----------------------------------------------------------------------------

large = r.folder / "large.bin"
large.write_bytes(hashlib.sha256(b"seed").digest() * (1 << 19))
r.call("log: 16 MiB", client.log_artifact, run_id, str(large))
r.call(
    "download: 16 MiB",
    lambda: hashlib.sha256(
        Path(client.download_artifacts(run_id, "large.bin")).read_bytes()
    ).hexdigest()[:16],
)

# --- Fluent -----------------------------------------------------------------------------------

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run(run_name="fluent") as active:
    mine = active.info.run_id
    r.call("fluent: file", mlflow.log_artifact, str(source / "deep" / "one.txt"), "f")
    r.call("fluent: files", mlflow.log_artifacts, str(source / "deep"), "g")
    r.call("fluent: text", mlflow.log_text, "t", "t.txt")
    r.call("fluent: dict", mlflow.log_dict, {"k": 1}, "k.json")
    r.call("fluent: uri", mlflow.get_artifact_uri, "t.txt")
    if find_spec("matplotlib"):
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots()
        axes.plot([1, 2], [3, 4])
        r.call("fluent: figure", mlflow.log_figure, figure, "figure.png")
        r.call(
            "fluent: figure read",
            lambda: Path(client.download_artifacts(mine, "figure.png")).read_bytes()[:8],
        )
    r.call("fluent: table", mlflow.log_table, {"q": ["a", "b"], "n": [1, 2]}, "table.json")
    r.call("fluent: table, more", mlflow.log_table, {"q": ["c"], "n": [3]}, "table.json")
    r.call("fluent: table read", lambda: mlflow.load_table("table.json", run_ids=[mine]))
    r.call(
        "fluent: table tag", lambda: client.get_run(mine).data.tags.get("mlflow.loggedArtifacts")
    )
r.call("fluent: tree", lambda: [each[:2] for each in tree(of=mine)])

# --- Deleting ---------------------------------------------------------------------------------

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402

repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)
r.call("delete: file", repository.delete_artifacts, "text/a.txt")
r.call("delete: folder", repository.delete_artifacts, "all/deep")
r.call("delete: unknown", repository.delete_artifacts, "nowhere")
r.call("tree after delete", tree)
client.delete_run(run_id)
r.call("list: deleted run", client.list_artifacts, run_id, "d")
r.call(
    "download: deleted run",
    lambda: Path(client.download_artifacts(run_id, "d/dict.json")).read_bytes(),
)
r.call("log: deleted run", client.log_text, run_id, "x", "late.txt")

r.finish()
