"""Endpoints of logged models. Each request has a ``{logged_model}`` of its own."""

from compat.rest_endpoints import EXPERIMENT, RUN, TAG, B, L, S, W, delete, get, patch, post

MODEL_ID = (S, "{logged_model}")
ONE = "logged-models/{logged_model}"
UNKNOWN = "m-00000000000000000000000000000000"
NONE = f"logged-models/{UNKNOWN}"

LOGGED_MODELS = (
    post(
        "logged-models",
        experiment_id=EXPERIMENT,
        name=(S, "n"),
        model_type=(S, "t"),
        source_run_id=RUN,
        params=(L, TAG),
        tags=(L, TAG),
    ),
    get(ONE),
    get(ONE, allow_deleted=(B, "true")).about("or deleted"),
    get(NONE).about("unknown"),
    get("logged-models/{deleted_model}").about("deleted"),
    get("logged-models/{deleted_model}", allow_deleted=(B, "true")).about("or deleted"),
    patch(ONE, model_id=MODEL_ID, status=(S, "LOGGED_MODEL_READY")),
    patch(NONE, model_id=(S, UNKNOWN), status=(W, 2)).about("unknown"),
    patch(f"{ONE}/tags", model_id=MODEL_ID, tags=(L, TAG)),
    patch(f"{NONE}/tags", tags=(L, TAG)).about("unknown"),
    patch("logged-models/{deleted_model}/tags", tags=(L, TAG)).about("deleted"),
    delete(f"{ONE}/tags/tagged"),
    delete(f"{ONE}/tags/never").about("unknown"),
    delete(f"{NONE}/tags/tagged").about("unknown"),
    delete("logged-models/{deleted_model}/tags/tagged").about("deleted"),
    post(f"{ONE}/params", model_id=MODEL_ID, params=(L, [{"key": "z", "value": "1"}])),
    post(f"{NONE}/params", model_id=(S, UNKNOWN), params=(L, TAG)).about("unknown"),
    post(
        "logged-models/{deleted_model}/params", model_id=(S, "{deleted_model}"), params=(L, TAG)
    ).about("deleted"),
    post(
        "logged-models/search",
        experiment_ids=(L, ["{experiment}"]),
        filter=(S, "name = 'n'"),
        datasets=(L, [{"dataset_name": "d", "dataset_digest": "1"}]),
        max_results=(W, 5),
        order_by=(L, [{"field_name": "name", "ascending": True}]),
    ),
    get(f"{ONE}/artifacts/directories", artifact_directory_path=(S, "folder")),
    get(f"{NONE}/artifacts/directories").about("unknown"),
    get("logged-models/{deleted_model}/artifacts/directories").about("deleted"),
    post("runs/log-inputs", run_id=RUN, models=(L, [{"model_id": "{logged_model}"}])),
    post("runs/outputs", run_id=RUN, models=(L, [{"model_id": "{logged_model}", "step": 1}])),
    delete(ONE, model_id=MODEL_ID),
    delete(NONE).about("unknown"),
    delete("logged-models/{deleted_model}").about("deleted"),
)
