"""The endpoints whose requests are compared, each with parameters that are right."""

from compat.rest_endpoints import (
    EXPERIMENT,
    RUN,
    TAG,
    B,
    L,
    N,
    S,
    W,
    delete,
    get,
    patch,
    post,
)
from compat.rest_table_files import FILES
from compat.rest_table_logged import LOGGED_MODELS
from compat.rest_table_traces import TRACES
from compat.rest_table_webhooks import WEBHOOKS
from support.rest import Endpoint

MODEL = (S, "{model}")

TRACKING = (
    post("experiments/create", name=(S, "{name}-new"), tags=(L, TAG)),
    post(
        "experiments/search",
        max_results=(W, 5),
        filter=(S, "name = '{name}'"),
        order_by=(L, ["name"]),
        view_type=(W, 3),
    ),
    get("experiments/search", max_results=(W, 5), filter=(S, "name = '{name}'")),
    get("experiments/get", experiment_id=EXPERIMENT),
    get("experiments/get-by-name", experiment_name=(S, "{name}")),
    post("experiments/update", experiment_id=EXPERIMENT, new_name=(S, "{name}-renamed")),
    post("experiments/set-experiment-tag", experiment_id=EXPERIMENT, key=(S, "a"), value=(S, "b")),
    post("experiments/delete-experiment-tag", experiment_id=EXPERIMENT, key=(S, "tagged")),
    post("experiments/restore", experiment_id=(S, "{deleted_experiment}")),
    post("experiments/delete", experiment_id=(S, "{doomed_experiment}")),
    post(
        "runs/create",
        experiment_id=EXPERIMENT,
        user_id=(S, "ann"),
        run_name=(S, "name"),
        start_time=(W, 1000),
        tags=(L, TAG),
    ),
    get("runs/get", run_id=RUN),
    post("runs/update", run_id=RUN, status=(S, "FINISHED"), end_time=(W, 5), run_name=(S, "new")),
    post(
        "runs/search",
        experiment_ids=(L, ["{experiment}"]),
        filter=(S, "metrics.m > 0"),
        run_view_type=(S, "ALL"),
        max_results=(W, 5),
        order_by=(L, ["metrics.m DESC"]),
    ),
    post(
        "runs/log-metric",
        run_id=RUN,
        key=(S, "x"),
        value=(N, 1.5),
        timestamp=(W, 5),
        step=(W, 1),
    ),
    post("runs/log-parameter", run_id=RUN, key=(S, "q"), value=(S, "v")),
    post("runs/set-tag", run_id=RUN, key=(S, "q"), value=(S, "v")),
    post("runs/delete-tag", run_id=RUN, key=(S, "tagged")),
    post(
        "runs/log-batch",
        run_id=RUN,
        metrics=(L, [{"key": "b", "value": 1.5, "timestamp": 5, "step": 1}]),
        params=(L, [{"key": "bp", "value": "1"}]),
        tags=(L, TAG),
    ),
    post(
        "runs/log-inputs",
        run_id=RUN,
        datasets=(
            L,
            [
                {
                    "dataset": {
                        "name": "d",
                        "digest": "1",
                        "source_type": "http",
                        "source": "{}",
                    },
                    "tags": TAG,
                }
            ],
        ),
    ),
    get("metrics/get-history", run_id=RUN, metric_key=(S, "m"), max_results=(W, 5)),
    Endpoint(
        "GET",
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        {"run_id": RUN, "metric_key": (S, "m"), "max_results": (W, 5)},
    ),
    get(
        "metrics/get-history-bulk-interval",
        run_ids=RUN,
        metric_key=(S, "m"),
        start_step=(W, 0),
        end_step=(W, 5),
        max_results=(W, 5),
    ),
    get("artifacts/list", run_id=RUN, path=(S, "folder")),
    # MLflow has it below /ajax-api alone.
    Endpoint(
        "POST",
        "/ajax-api/2.0/mlflow/experiments/search-datasets",
        {"experiment_ids": (L, ["{experiment}"])},
    ),
    post("runs/restore", run_id=(S, "{deleted_run}")),
    post("runs/delete", run_id=(S, "{doomed_run}")),
)

REGISTRY = (
    post("registered-models/create", name=(S, "{name}-m2"), tags=(L, TAG), description=(S, "d")),
    get("registered-models/get", name=MODEL),
    get(
        "registered-models/search",
        filter=(S, "name = '{model}'"),
        max_results=(W, 5),
        order_by=(S, "name"),
    ),
    patch("registered-models/update", name=MODEL, description=(S, "x")),
    post("registered-models/set-tag", name=MODEL, key=(S, "a"), value=(S, "b")),
    delete("registered-models/delete-tag", name=MODEL, key=(S, "a")),
    post("registered-models/alias", name=MODEL, alias=(S, "best"), version=(S, "1")),
    get("registered-models/alias", name=MODEL, alias=(S, "best")),
    delete("registered-models/alias", name=MODEL, alias=(S, "best")),
    post("registered-models/get-latest-versions", name=MODEL, stages=(L, ["None"])),
    get("registered-models/get-latest-versions", name=MODEL, stages=(S, "None")),
    post("model-versions/create", name=MODEL, source=(S, "{source}"), run_id=RUN, tags=(L, TAG)),
    get("model-versions/get", name=MODEL, version=(S, "1")),
    get("model-versions/search", filter=(S, "name = '{model}'"), max_results=(W, 5)),
    get("model-versions/get-download-uri", name=MODEL, version=(S, "1")),
    patch("model-versions/update", name=MODEL, version=(S, "1"), description=(S, "x")),
    post("model-versions/set-tag", name=MODEL, version=(S, "1"), key=(S, "a"), value=(S, "b")),
    delete("model-versions/delete-tag", name=MODEL, version=(S, "1"), key=(S, "a")),
    post(
        "model-versions/transition-stage",
        name=MODEL,
        version=(S, "1"),
        stage=(S, "Staging"),
        archive_existing_versions=(B, True),
    ),
    delete("model-versions/delete", name=MODEL, version=(S, "1")),
    post("registered-models/rename", name=MODEL, new_name=(S, "{name}-m3")),
    delete("registered-models/delete", name=(S, "{name}-m3")),
)

TABLES = {
    "tracking": TRACKING,
    "registry": REGISTRY,
    "logged models": LOGGED_MODELS,
    "traces": TRACES,
    "webhooks": WEBHOOKS,
    "files": FILES,
}
