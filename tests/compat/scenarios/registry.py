"""The registry: models, versions, stages, aliases, tags, search, renaming, copying, deleting."""

import mlflow
from _recorder import Recorder

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)
name = r.name
run_id = client.create_run(experiment, 1000, run_name="run").info.run_id
client.log_text(run_id, "x", "model/MLmodel")
source = f"{client.get_run(run_id).info.artifact_uri}/model"

# --- Models -----------------------------------------------------------------------------------

r.call("create", client.create_registered_model, f"{name}-a", {"team": "v", "n": "1"}, "about *it*")
r.call("create: bare", client.create_registered_model, f"{name}-b")
r.call("create: taken", client.create_registered_model, f"{name}-a")
r.call("get", client.get_registered_model, f"{name}-a")
r.call("get: unknown", client.get_registered_model, f"{name}-none")
r.call("update", client.update_registered_model, f"{name}-a", "another text")
r.call("update: none", client.update_registered_model, f"{name}-a")
r.call("update: empty", client.update_registered_model, f"{name}-a", "")
r.call("update: unknown", client.update_registered_model, f"{name}-none", "x")
r.call("tag", client.set_registered_model_tag, f"{name}-a", "k", "v")
r.call("tag: changed", client.set_registered_model_tag, f"{name}-a", "k", "w")
r.call("tag: number", client.set_registered_model_tag, f"{name}-a", "size", 5)
r.call("tag: empty value", client.set_registered_model_tag, f"{name}-a", "empty", "")
r.call("tag: unknown model", client.set_registered_model_tag, f"{name}-none", "k", "v")
r.call("tag: empty key", client.set_registered_model_tag, f"{name}-a", "", "v")
r.call("tag: bad key", client.set_registered_model_tag, f"{name}-a", "a#b", "v")
r.call("tag: 5001", client.set_registered_model_tag, f"{name}-a", "long", "v" * 5001)
r.call("tag: 100001", client.set_registered_model_tag, f"{name}-a", "longer", "v" * 100001)
r.call("delete tag", client.delete_registered_model_tag, f"{name}-a", "size")
r.call("delete tag: again", client.delete_registered_model_tag, f"{name}-a", "size")
r.call("delete tag: unknown model", client.delete_registered_model_tag, f"{name}-none", "k")
r.call("after tags", lambda: sorted(client.get_registered_model(f"{name}-a").tags))
for item, wrong in {
    "empty": "",
    "slash": "a/b",
    "colon": "a:b",
    "space": f"{name} with space",
    "umlaut": f"{name}-größe",
    "percent": f"{name}-50%",
    "dots": "..",
    "hash": f"{name}#x",
    "quote": f"{name}'s",
    "long": name + "n" * 300,
    "none": None,
    "number": 5,
}.items():
    r.call(f"create: {item}", client.create_registered_model, wrong)
    r.call(f"get: {item}", client.get_registered_model, wrong)

# --- Versions ---------------------------------------------------------------------------------

first = r.call(
    "version", client.create_model_version, f"{name}-a", source, run_id, {"t": "1"}, None, "first"
)
r.call("version: second", client.create_model_version, f"{name}-a", source, run_id)
r.call("version: no run", client.create_model_version, f"{name}-a", source)
r.call(
    "version: runs uri", client.create_model_version, f"{name}-a", f"runs:/{run_id}/model", run_id
)
r.call("version: unknown model", client.create_model_version, f"{name}-none", source, run_id)
r.call("version: unknown run", client.create_model_version, f"{name}-a", source, "0" * 32)
for wrong in (
    "",
    "/etc",
    "file:///etc",
    "../x",
    "mlflow-artifacts:/../x",
    "s3://b/k?x=1",
    "http://h/p#f",
    "models:/x",
):
    r.call(f"version: source {wrong!r}", client.create_model_version, f"{name}-a", wrong, run_id)
r.call("version: get", client.get_model_version, f"{name}-a", "1")
r.call("version: get by number", client.get_model_version, f"{name}-a", 2)
for wrong in ("99", "0", "-1", "x", "", "1.5", "latest"):
    r.call(f"version: get {wrong!r}", client.get_model_version, f"{name}-a", wrong)
r.call("version: update", client.update_model_version, f"{name}-a", "1", "changed")
r.call("version: update unknown", client.update_model_version, f"{name}-a", "99", "changed")
r.call("version: download uri", client.get_model_version_download_uri, f"{name}-a", "1")
r.call("version: download uri, unknown", client.get_model_version_download_uri, f"{name}-a", "99")
r.call("version: tag", client.set_model_version_tag, f"{name}-a", "1", "k", "v")
r.call(
    "version: tag by stage",
    client.set_model_version_tag,
    f"{name}-a",
    key="k",
    value="v",
    stage="None",
)
r.call("version: tag unknown", client.set_model_version_tag, f"{name}-a", "99", "k", "v")
r.call("version: delete tag", client.delete_model_version_tag, f"{name}-a", "1", "t")
r.call("version: delete tag again", client.delete_model_version_tag, f"{name}-a", "1", "t")
r.call("version: after", client.get_model_version, f"{name}-a", "1")

# --- Stages -----------------------------------------------------------------------------------

r.call("stages", client.get_model_version_stages, f"{name}-a", "1")
for stage in ("Staging", "production", "Archived", "None", "Nowhere", ""):
    r.call(f"stage: {stage}", client.transition_model_version_stage, f"{name}-a", "1", stage)
r.call(
    "stage: back to production",
    lambda: client.transition_model_version_stage(f"{name}-a", "1", "Production").current_stage,
)
r.call(
    "stage: archive others",
    client.transition_model_version_stage,
    f"{name}-a",
    "2",
    "Production",
    True,
)
r.call("stage: of the first", lambda: client.get_model_version(f"{name}-a", "1").current_stage)
r.call(
    "stage: archive into none",
    client.transition_model_version_stage,
    f"{name}-a",
    "1",
    "None",
    True,
)
r.call(
    "stage: unknown version", client.transition_model_version_stage, f"{name}-a", "99", "Staging"
)


def latest(*arguments):
    """By version: in which order stages come is not said anywhere."""
    return sorted(client.get_latest_versions(*arguments), key=lambda each: int(each.version))


r.call("latest", latest, f"{name}-a")
r.call("latest: production", latest, f"{name}-a", ["Production"])
r.call("latest: other case", latest, f"{name}-a", ["production"])
r.call("latest: two", latest, f"{name}-a", ["Production", "None"])
r.call("latest: unknown stage", latest, f"{name}-a", ["Nowhere"])
r.call("latest: unknown model", latest, f"{name}-none")
r.call("latest: no versions", latest, f"{name}-b")

# --- Aliases ----------------------------------------------------------------------------------

r.call("alias", client.set_registered_model_alias, f"{name}-a", "champion", "1")
r.call("alias: second of a version", client.set_registered_model_alias, f"{name}-a", "best", "1")
r.call("alias: moved", client.set_registered_model_alias, f"{name}-a", "champion", "2")
r.call("alias: get", client.get_model_version_by_alias, f"{name}-a", "champion")
r.call("alias: get unknown", client.get_model_version_by_alias, f"{name}-a", "nobody")
r.call("alias: other case", client.get_model_version_by_alias, f"{name}-a", "Champion")
r.call("alias: unknown version", client.set_registered_model_alias, f"{name}-a", "x", "99")
r.call("alias: unknown model", client.set_registered_model_alias, f"{name}-none", "x", "1")
for wrong in ("latest", "Latest", "v1", "V12", "a b", "a/b", "", "a" * 256, "größe", "1", "a.b"):
    r.call(f"alias: {wrong[:20]!r}", client.set_registered_model_alias, f"{name}-a", wrong, "1")
r.call("alias: of the model", lambda: client.get_registered_model(f"{name}-a").aliases)
r.call("alias: of the version", lambda: sorted(client.get_model_version(f"{name}-a", "1").aliases))
r.call("alias: delete", client.delete_registered_model_alias, f"{name}-a", "best")
r.call("alias: delete again", client.delete_registered_model_alias, f"{name}-a", "best")
r.call("alias: delete, unknown model", client.delete_registered_model_alias, f"{name}-none", "best")

# --- Search -----------------------------------------------------------------------------------

for suffix, tags in (
    ("s-one", {"k": "1"}),
    ("s-Two", {"k": "2"}),
    ("s-three", {}),
    ("s-fo_r", {"k": "1"}),
):
    client.create_registered_model(f"{name}-{suffix}", tags)
    client.create_model_version(f"{name}-{suffix}", source, run_id, tags)
mine = f"name LIKE '{name}-s-%'"


def models(filter_string=mine, **options):
    found = client.search_registered_models(filter_string, **options)
    return {"names": [each.name for each in found], "more": bool(found.token)}


def versions(filter_string, **options):
    found = client.search_model_versions(filter_string, **options)
    return {
        "versions": [[each.name, str(each.version)] for each in found],
        "more": bool(found.token),
    }


for item, filter_string in {
    "like": mine,
    "equal": f"name = '{name}-s-one'",
    "not equal": f"{mine} AND name != '{name}-s-one'",
    "ilike": f"name ILIKE '{name}-s-t%'",
    "other case": f"name = '{name}-S-one'",
    "underscore": f"name LIKE '{name}-s-fo_r'",
    "tag": f"{mine} AND tags.k = '1'",
    "tag singular": f"{mine} AND tag.k = '1'",
    "tag differs": f"{mine} AND tags.k != '1'",
    "tag like": f"{mine} AND tags.`k` LIKE '%'",
    "two tags": f"{mine} AND tags.k = '1' AND tags.k = '2'",
    "none": "name = 'no such'",
    "unknown": "colour = 'x'",
    "number": "name = 5",
    "operator": "name > 'a'",
    "rubbish": "name LIKE",
    "or": f"name = '{name}-s-one' OR name = '{name}-s-Two'",
    "stage": "current_stage = 'x'",
}.items():
    r.call(f"models: {item}", models, filter_string)
for order in (
    ["name"],
    ["name DESC"],
    ["creation_timestamp"],
    ["creation_timestamp DESC"],
    ["last_updated_timestamp ASC"],
    ["timestamp DESC"],
    ["colour"],
    ["name sideways"],
    ["last_updated_timestamp DESC", "name"],
):
    r.call(f"models, order: {order}", models, order_by=order)
page = client.search_registered_models(mine, max_results=3)
r.note("models, page 1", [each.name for each in page])
r.call("models, page 2", models, max_results=3, page_token=page.token)
r.call("models, rubbish token", models, page_token="rubbish")
for size in (0, -1, 1, 1000, 1001):
    r.call(f"models, max_results {size}", models, max_results=size)
r.call("models, whole", lambda: client.search_registered_models(f"name = '{name}-a'")[0])

for item, filter_string in {
    "model": f"name = '{name}-a'",
    "like": f"name LIKE '{name}-s-%'",
    "ilike": f"name ILIKE '{name}-S-%'",
    "run": f"run_id = '{run_id}'",
    "run in": f"run_id IN ('{run_id}')",
    "run in, two": f"run_id IN ('{run_id}', '{'0' * 32}')",
    "number": f"name = '{name}-a' AND version_number = 2",
    "number over": f"name = '{name}-a' AND version_number > 1",
    "number as text": f"name = '{name}-a' AND version_number = '2'",
    "source": f"source_path = '{source}' AND name = '{name}-a'",
    "source like": f"source_path LIKE '%model' AND name = '{name}-a'",
    "tag": f"tags.k = '1' AND name LIKE '{name}-s-%'",
    "tag differs": f"tags.k != '1' AND name LIKE '{name}-s-%'",
    "unknown": "colour = 'x'",
    "operator": "name > 'a'",
    "rubbish": "run_id IN",
    "run in, empty": "run_id IN ()",
    "stage": "current_stage = 'None'",
}.items():
    r.call(f"versions: {item}", versions, filter_string, order_by=["name", "version_number"])
for order in (
    ["name", "version_number DESC"],
    ["version_number", "name"],
    ["creation_timestamp"],
    ["last_updated_timestamp DESC"],
    ["colour"],
):
    r.call(f"versions, order: {order}", versions, f"name LIKE '{name}-%'", order_by=order)
page = client.search_model_versions(
    f"name = '{name}-a'", max_results=2, order_by=["version_number"]
)
r.note("versions, page 1", [each.version for each in page])
r.call(
    "versions, page 2",
    versions,
    f"name = '{name}-a'",
    max_results=2,
    order_by=["version_number"],
    page_token=page.token,
)
for size in (0, -1, 200000, 200001):
    r.call(f"versions, max_results {size}", versions, f"name = '{name}-b'", max_results=size)
r.call(
    "versions, whole",
    lambda: client.search_model_versions(f"name = '{name}-a'", order_by=["version_number"])[0],
)

# --- Rename, copy, delete ---------------------------------------------------------------------

r.call("copy", client.copy_model_version, f"models:/{name}-a/1", f"{name}-copy")
r.call("copy: alias", client.copy_model_version, f"models:/{name}-a@champion", f"{name}-copy")
r.call("copy: unknown", client.copy_model_version, f"models:/{name}-a/99", f"{name}-copy")
r.call("copy: not a model", client.copy_model_version, f"runs:/{run_id}/model", f"{name}-copy")
r.call("copy: download uri", client.get_model_version_download_uri, f"{name}-copy", "1")
r.call("rename", client.rename_registered_model, f"{name}-a", f"{name}-z")
r.call("rename: old name", client.get_registered_model, f"{name}-a")
r.call("rename: versions", versions, f"name = '{name}-z'", order_by=["version_number"])
r.call("rename: alias", client.get_model_version_by_alias, f"{name}-z", "champion")
r.call("rename: taken", client.rename_registered_model, f"{name}-z", f"{name}-b")
r.call("rename: itself", client.rename_registered_model, f"{name}-z", f"{name}-z")
r.call("rename: unknown", client.rename_registered_model, f"{name}-none", f"{name}-y")
r.call("rename: empty", client.rename_registered_model, f"{name}-z", "  ")
r.call("rename: slash", client.rename_registered_model, f"{name}-z", "a/b")
r.call("delete version", client.delete_model_version, f"{name}-z", "3")
r.call("delete version: again", client.delete_model_version, f"{name}-z", "3")
r.call("delete version: get", client.get_model_version, f"{name}-z", "3")
r.call("delete version: in production", client.delete_model_version, f"{name}-z", "2")
r.call("delete version: its alias", client.get_model_version_by_alias, f"{name}-z", "champion")
r.call(
    "version after delete", lambda: client.create_model_version(f"{name}-z", source, run_id).version
)
r.call("delete", client.delete_registered_model, f"{name}-z")
r.call("delete: again", client.delete_registered_model, f"{name}-z")
r.call("delete: versions", versions, f"name = '{name}-z'")
r.call("delete: create again", client.create_registered_model, f"{name}-z")
r.call(
    "delete: numbers begin again",
    lambda: client.create_model_version(f"{name}-z", source, run_id).version,
)

# --- Fluent -----------------------------------------------------------------------------------

r.call("fluent: register", mlflow.register_model, f"runs:/{run_id}/model", f"{name}-fluent")
r.call(
    "fluent: register again",
    lambda: mlflow.register_model(f"runs:/{run_id}/model", f"{name}-fluent", tags={"a": "b"}),
)
r.call(
    "fluent: register nothing", mlflow.register_model, f"runs:/{run_id}/nowhere", f"{name}-fluent"
)
r.call(
    "fluent: models",
    lambda: [
        e.name for e in mlflow.search_registered_models(filter_string=mine, order_by=["name"])
    ],
)
r.call(
    "fluent: versions",
    lambda: [
        e.version
        for e in mlflow.search_model_versions(
            filter_string=f"name = '{name}-fluent'", order_by=["version_number"]
        )
    ],
)

r.finish()
