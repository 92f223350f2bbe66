"""Inputs and outputs of a run: datasets of mlflow.data, their tags, models that went in and out."""

from importlib.util import find_spec

import mlflow
from _recorder import Recorder
from mlflow.entities import Dataset, DatasetInput, InputTag

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)
run_id = client.create_run(experiment, 1000, run_name="run").info.run_id


def inputs(of=run_id):
    found = client.get_run(of).inputs
    return sorted(
        (
            {
                "dataset": dict(each.dataset),
                "tags": sorted((tag.key, tag.value) for tag in each.tags),
            }
            for each in found.dataset_inputs
        ),
        key=lambda each: (each["dataset"]["name"], each["dataset"]["digest"]),
    )


def of(name, digest="d1", tags=(), source="{}", **options):
    return DatasetInput(
        Dataset(name, digest, "http", source, **options), [InputTag(k, v) for k, v in tags]
    )


r.call("none", inputs)
r.call("log", client.log_inputs, run_id, [of("a", tags=[("mlflow.data.context", "train")])])
r.call("log again", client.log_inputs, run_id, [of("a", tags=[("mlflow.data.context", "train")])])
r.call(
    "log: other tag", client.log_inputs, run_id, [of("a", tags=[("mlflow.data.context", "eval")])]
)
r.call("log: more tags", client.log_inputs, run_id, [of("a", tags=[("k", "v")])])
r.call("log: other digest", client.log_inputs, run_id, [of("a", "d2")])
r.call("log: other source", client.log_inputs, run_id, [of("a", "d1", source='{"url": "y"}')])
r.call("after", inputs)
r.call(
    "log: whole",
    client.log_inputs,
    run_id,
    [of("whole", schema='{"mlflow_colspec": []}', profile='{"rows": 5}')],
)
r.call("log: several", client.log_inputs, run_id, [of("b"), of("c"), of("b")])
r.call("log: nothing", client.log_inputs, run_id, [])
r.call("after more", inputs)
r.call("log: unknown run", client.log_inputs, "0" * 32, [of("a")])
for item, wrong in {
    "no name": of(""),
    "no digest": of("a", ""),
    "long name": of("n" * 501),
    "long digest": of("a", "d" * 37),
    "long source": of("long source", source="s" * 65536),
    "long schema": of("long schema", schema="s" * 1048576),
    "long profile": of("long profile", profile="p" * 16777217),
    "long tag key": of("long tag key", tags=[("k" * 256, "v")]),
    "long tag value": of("long tag value", tags=[("k", "v" * 501)]),
    "empty tag key": of("empty tag key", tags=[("", "v")]),
}.items():
    r.call(f"log: {item}", client.log_inputs, run_id, [wrong])
r.call("after wrong ones", lambda: [each["dataset"]["name"][:20] for each in inputs()])
deleted = client.create_run(experiment, 1000, run_name="deleted").info.run_id
client.delete_run(deleted)
r.call("log: deleted run", client.log_inputs, deleted, [of("a")])

# --- mlflow.data ------------------------------------------------------------------------------

# The skinny client has neither numpy nor pandas, and mlflow.data needs them.
if find_spec("numpy") and find_spec("pandas"):
    import numpy as np
    import pandas as pd
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    mlflow.set_experiment(experiment_id=experiment)
    with mlflow.start_run(run_name="fluent") as active:
        frame = pd.DataFrame({"x": [1.0, 2.0], "y": [1, 0]})
        data = mlflow.data.from_pandas(
            frame, source="http://example.com/d.csv", name="frame", targets="y"
        )
        r.call("fluent: pandas", mlflow.log_input, data, context="train")
        r.call("fluent: pandas, tags", mlflow.log_input, data, "test", {"a": "b"})
        array = mlflow.data.from_numpy(np.arange(6.0).reshape(2, 3), name="array")
        r.call("fluent: numpy", mlflow.log_input, array)
        meta = MetaDataset(HTTPDatasetSource("http://example.com/x"), name="meta", digest="0123")
        r.call("fluent: meta", mlflow.log_input, meta, context="meta")
        r.call(
            "fluent: inputs",
            mlflow.log_inputs,
            [meta, meta],
            ["one", "two"],
            [None, {"t": "u"}],
        )
    r.call("fluent: after", inputs, active.info.run_id)

# --- Models -----------------------------------------------------------------------------------

from mlflow.entities import LoggedModelInput, LoggedModelOutput  # noqa: E402

model = client.create_logged_model(experiment, "model", run_id)
second = client.create_logged_model(experiment, "second", run_id)


def models():
    """Outputs by step: in which order they come is not said anywhere."""
    found = client.get_run(run_id)
    outputs = sorted(found.outputs.model_outputs, key=lambda each: each.step)
    return {"inputs": found.inputs.model_inputs, "outputs": outputs}


r.call("models: none", models)
r.call("outputs", client.log_outputs, run_id, [LoggedModelOutput(model.model_id, 3)])
r.call("outputs again", client.log_outputs, run_id, [LoggedModelOutput(model.model_id, 3)])
r.call("outputs: other step", client.log_outputs, run_id, [LoggedModelOutput(model.model_id, 4)])
r.call("outputs: second", client.log_outputs, run_id, [LoggedModelOutput(second.model_id, 0)])
r.call("model input", client.log_inputs, run_id, models=[LoggedModelInput(model.model_id)])
r.call("models: after", models)
r.call(
    "outputs: unknown model", client.log_outputs, run_id, [LoggedModelOutput("m-" + "0" * 32, 1)]
)
r.call("outputs: unknown run", client.log_outputs, "0" * 32, [LoggedModelOutput(model.model_id, 1)])
r.call("outputs: none", client.log_outputs, run_id, [])
r.call("outputs: deleted run", client.log_outputs, deleted, [LoggedModelOutput(model.model_id, 1)])
r.call("models: at the end", models)

r.finish()
