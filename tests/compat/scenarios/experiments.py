"""Experiments: create, read, rename, delete, restore, tags, search with every filter, paging."""

import mlflow
from _recorder import Recorder
from mlflow.entities import ViewType

r = Recorder()
client = mlflow.MlflowClient()
name = r.name


def created(item, suffix, **options):
    made = client.create_experiment(f"{name}-{suffix}", **options)
    r.experiment(made, suffix)
    r.note(item, made, "experiment_id")
    return made


# --- One experiment ---------------------------------------------------------------------------

first = created("create", "first", tags={"team": "vision", "long": "x" * 500})
r.call("get", client.get_experiment, first)
r.call("get by name", client.get_experiment_by_name, f"{name}-first")
r.call("get by name: none", client.get_experiment_by_name, f"{name}-none")
r.call("default", lambda: client.get_experiment("0").name)
r.call("set tag", client.set_experiment_tag, first, "team", "speech")
r.call("set tag: number", client.set_experiment_tag, first, "size", 12)
r.call("set tag: empty value", client.set_experiment_tag, first, "empty", "")
r.call("set tag: long", client.set_experiment_tag, first, "longer", "y" * 5000)
r.call("rename", client.rename_experiment, first, f"{name}-renamed")
r.call("get after changes", client.get_experiment, first)
r.call("get by old name", client.get_experiment_by_name, f"{name}-first")
if hasattr(client, "delete_experiment_tag"):
    r.call("delete tag", client.delete_experiment_tag, first, "size")
    r.call("delete tag: again", client.delete_experiment_tag, first, "size")
    r.call("tags after delete", lambda: client.get_experiment(first).tags)

# --- Artifact locations -----------------------------------------------------------------------

located = created("create: location", "located", artifact_location="mlflow-artifacts:/elsewhere")
r.call("get: location", client.get_experiment, located)
run = client.create_run(located)
r.call("run of a location", lambda: run.info.artifact_uri)

# --- Delete and restore -----------------------------------------------------------------------

doomed = created("create: doomed", "doomed")
inside = client.create_run(doomed, start_time=1000, run_name="inside")
r.call("delete", client.delete_experiment, doomed)
r.call("get: deleted", client.get_experiment, doomed)
r.call("get by name: deleted", client.get_experiment_by_name, f"{name}-doomed")
r.call("run of the deleted", lambda: client.get_run(inside.info.run_id).info.lifecycle_stage)
r.call("delete: again", client.delete_experiment, doomed)
r.call("create: name of a deleted one", client.create_experiment, f"{name}-doomed")
r.call("rename: deleted", client.rename_experiment, doomed, f"{name}-other")
r.call("set tag: deleted", client.set_experiment_tag, doomed, "a", "b")
r.call("create run: deleted", client.create_run, doomed)
r.call("search runs: deleted", client.search_runs, [doomed])
r.call("restore", client.restore_experiment, doomed)
r.call("restore: again", client.restore_experiment, doomed)
r.call("get: restored", client.get_experiment, doomed)
r.call("run of the restored", lambda: client.get_run(inside.info.run_id).info.lifecycle_stage)

# --- What a user does wrong -------------------------------------------------------------------

for item, wanted in (
    ("taken", f"{name}-renamed"),
    ("empty", ""),
    ("too long", name + "x" * 501),
    ("none", None),
    ("number", 12),
):
    r.call(f"create: {item}", client.create_experiment, wanted)
r.call("create: location with ..", client.create_experiment, f"{name}-a", "mlflow-artifacts:/../x")
r.call("create: location with #", client.create_experiment, f"{name}-b", "mlflow-artifacts:/x#y")
r.call("create: bad tag key", client.create_experiment, f"{name}-c", tags={"a#b": "c"})
r.call("create: empty tag key", client.create_experiment, f"{name}-d", tags={"": "c"})
for item, wanted in (
    ("unknown", "123456789"),
    ("not an id", "a b"),
    ("empty", ""),
    ("negative", "-1"),
    ("name", f"{name}-renamed"),
):
    r.call(f"get: {item}", client.get_experiment, wanted)
    r.call(f"delete: {item}", client.delete_experiment, wanted)
    r.call(f"restore: {item}", client.restore_experiment, wanted)
    r.call(f"rename: {item}", client.rename_experiment, wanted, f"{name}-e")
    r.call(f"set tag: {item}", client.set_experiment_tag, wanted, "a", "b")
r.call("get by name: empty", client.get_experiment_by_name, "")
r.call("rename to: taken", client.rename_experiment, first, f"{name}-doomed")
r.call("rename to: empty", client.rename_experiment, first, "")
r.call("rename to: too long", client.rename_experiment, first, name + "x" * 501)
r.call("rename to: itself", client.rename_experiment, first, f"{name}-renamed")
r.call("tag: empty key", client.set_experiment_tag, first, "", "b")
r.call("tag: bad key", client.set_experiment_tag, first, "a#b", "b")
r.call("tag: long key", client.set_experiment_tag, first, "k" * 251, "b")
r.call("tag: long value", client.set_experiment_tag, first, "k", "v" * 5001)
r.call("tag: far too long value", client.set_experiment_tag, first, "k2", "v" * 20001)
r.call("tag: None", client.set_experiment_tag, first, "k3", None)
r.call("tags after wrong ones", lambda: sorted(client.get_experiment(first).tags))

# --- Search -----------------------------------------------------------------------------------

for number, word in enumerate(("alpha", "Beta", "gamma_1", "delta%")):
    made = created(f"create: {word}", f"s-{word}", tags={"n": str(number), "kind": word[0]})
hidden = created("create: hidden", "s-hidden", tags={"n": "9"})
client.delete_experiment(hidden)
mine = f"name LIKE '{name}-s-%'"


def names(**options):
    found = client.search_experiments(**options)
    return {"names": [each.name for each in found], "more": bool(found.token)}


for item, filter_string in {
    "mine": mine,
    "equal": f"name = '{name}-s-alpha'",
    "not equal": f"name != '{name}-s-alpha' AND {mine}",
    "like, other case": f"name LIKE '{name}-s-beta'",
    "ilike": f"name ILIKE '{name}-s-bETA'",
    "underscore is any": f"name LIKE '{name}-s-gamma__'",
    "tag": f"tags.n = '1' AND {mine}",
    "tag singular": f"tag.n = '1' AND {mine}",
    "tag differs": f"tags.n != '1' AND {mine}",
    "tag like": f"tags.kind LIKE 'B%' AND {mine}",
    "tag ilike": f"tags.kind ILIKE 'b%' AND {mine}",
    "tag backticks": f"tags.`n` = '2' AND {mine}",
    "tag quotes": f"tags.\"n\" = '2' AND {mine}",
    "tag null": f"tags.n IS NULL AND {mine}",
    "tag not null": f"tags.n IS NOT NULL AND {mine}",
    "two tags": f"tags.n = '1' AND tags.kind = 'B' AND {mine}",
    "attribute prefix": f"attribute.name = '{name}-s-alpha'",
    "attributes prefix": f"attributes.name = '{name}-s-alpha'",
    "created": f"creation_time > 0 AND {mine}",
    "created before": f"creation_time < 1 AND {mine}",
    "updated": f"last_update_time >= 1000 AND {mine}",
    "lower case and": f"tags.n = '1' and {mine}",
    "spaces": f"  tags.n   =   '1'  AND   {mine} ",
    "in": f"name IN ('{name}-s-alpha')",
    "id": f"experiment_id = '{first}'",
    "number for a name": "name = 5",
    "text for a time": "creation_time > 'x'",
    "unknown attribute": "colour = 'x'",
    "unknown entity": "metrics.a > 1",
    "no operator": "name",
    "no value": "name = ",
    "unquoted": "name = abc",
    "greater than a name": "name > 'a'",
    "or": f"name = '{name}-s-alpha' OR name = '{name}-s-Beta'",
    "parentheses": f"(name = '{name}-s-alpha')",
    "rubbish": ";;; DROP TABLE",
    "empty": "",
}.items():
    if item == "empty":
        r.call(f"search: {item}", lambda: len(client.search_experiments(filter_string="")) > 0)
    else:
        r.call(f"search: {item}", names, filter_string=filter_string)
for item, order in {
    "name": ["name"],
    "name asc": ["name ASC"],
    "name desc": ["name DESC"],
    "attribute": ["attribute.name desc"],
    "created": ["creation_time"],
    "updated": ["last_update_time DESC"],
    "id": ["experiment_id"],
    "two": ["last_update_time", "name DESC"],
    "tag": ["tags.n"],
    "unknown": ["colour"],
    "rubbish": ["name sideways"],
}.items():
    r.call(f"order: {item}", names, filter_string=mine, order_by=order)
for item, view in {
    "deleted": ViewType.DELETED_ONLY,
    "all": ViewType.ALL,
    "active": ViewType.ACTIVE_ONLY,
    "unknown": 9,
}.items():
    r.call(f"view: {item}", names, filter_string=mine, view_type=view, order_by=["name"])
page = r.call(
    "page 1", client.search_experiments, max_results=3, filter_string=mine, order_by=["name"]
)
r.call(
    "page 2",
    lambda: [
        each.name
        for each in client.search_experiments(
            max_results=3, filter_string=mine, order_by=["name"], page_token=page.token
        )
    ],
)
r.call("page token: rubbish", names, page_token="rubbish")
for size in (0, -1, 50000, 50001):
    r.call(
        f"max_results {size}",
        lambda: names(max_results=size, filter_string=f"{mine} AND tags.n='1'"),
    )

# --- Fluent -----------------------------------------------------------------------------------

chosen = mlflow.set_experiment(f"{name}-fluent")
r.experiment(chosen.experiment_id, "fluent")
r.note("fluent: set", chosen)
r.call("fluent: set again", lambda: mlflow.set_experiment(f"{name}-fluent").name)
r.call("fluent: set by id", lambda: mlflow.set_experiment(experiment_id=first).name)
r.call("fluent: set unknown id", mlflow.set_experiment, experiment_id="123456789")
r.call("fluent: get", lambda: mlflow.get_experiment(first).name)
r.call("fluent: get by name", lambda: mlflow.get_experiment_by_name(f"{name}-fluent").name)
r.call(
    "fluent: search",
    lambda: [
        e.name
        for e in mlflow.search_experiments(filter_string=mine, order_by=["name"], max_results=2)
    ],
)
mlflow.set_experiment(f"{name}-fluent")
r.call("fluent: tags", mlflow.set_experiment_tags, {"a": 1, "b": "two"})
r.call("fluent: tag", mlflow.set_experiment_tag, "c", "three")
r.call("fluent: tags read", lambda: mlflow.get_experiment(chosen.experiment_id).tags)
r.call("fluent: delete", mlflow.delete_experiment, chosen.experiment_id)
r.call("fluent: set deleted", mlflow.set_experiment, f"{name}-fluent")
if hasattr(mlflow, "restore_experiment"):
    r.call("fluent: restore", mlflow.restore_experiment, chosen.experiment_id)

r.finish()
