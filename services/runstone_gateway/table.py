"""Every route of the gateway: its path, its handler, and what its parameters must be.

A path without a leading slash stands below /api/ and /ajax-api/. The parameters have the names of
MLflow's REST API; those in braces stand in the path.
"""

from __future__ import annotations

from runstone_gateway import routes_experiments as experiments
from runstone_gateway import routes_files as files
from runstone_gateway import routes_logged as logged
from runstone_gateway import routes_metrics as metrics
from runstone_gateway import routes_parts as parts
from runstone_gateway import routes_registry as registry
from runstone_gateway import routes_runs as runs
from runstone_gateway import routes_server as server
from runstone_gateway import routes_spans as spans
from runstone_gateway import routes_traces as traces
from runstone_gateway import routes_versions as versions
from runstone_gateway import routes_webhooks as webhooks
from runstone_gateway.fields import (
    ANY,
    BOOL,
    DURATION,
    INT,
    PAIRS,
    TEXT,
    TEXT_MAP,
    TEXTS,
    TIME,
    UNIQUE_PAIRS,
    listed,
    nested,
    one_of,
)
from runstone_gateway.routing import Route, delete, get, patch, post, streamed

RUN_ID = TEXT.required.called("run_uuid")
PART = nested(part_number=INT.required, etag=TEXT, url=TEXT)
VIEW = one_of({"ACTIVE_ONLY": 1, "DELETED_ONLY": 2, "ALL": 3})
STATUS = one_of({"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5})
SEARCH = {"filter": TEXT, "order_by": TEXTS, "max_results": INT, "page_token": TEXT}
DATASET = nested(
    name=TEXT.required,
    digest=TEXT.required,
    source_type=TEXT.required,
    source=TEXT.required,
    schema=TEXT,
    profile=TEXT,
)

MODEL_INPUT = nested(model_id=TEXT.required)
MODEL_OUTPUT = nested(model_id=TEXT.required, step=INT)
MODEL_STATUS = one_of(
    {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
)
METRIC_DATASET = nested(dataset_name=TEXT.required, dataset_digest=TEXT)
MODEL_ORDER = nested(
    field_name=TEXT.required, ascending=BOOL, dataset_name=TEXT, dataset_digest=TEXT
)

SERVER = [
    get("/health", server.health),
    get("/version", server.get_version),
    get("3.0/mlflow/server-info", server.server_info),
]

EXPERIMENTS = [
    post("2.0/mlflow/experiments/create", experiments.create,
         name=TEXT.required, artifact_location=TEXT, tags=PAIRS),
    get("2.0/mlflow/experiments/get", experiments.get, experiment_id=TEXT.required),
    get("2.0/mlflow/experiments/get-by-name", experiments.get_by_name,
        experiment_name=TEXT.required),
    get("2.0/mlflow/experiments/search", experiments.search, view_type=VIEW, **SEARCH),
    post("2.0/mlflow/experiments/search", experiments.search, view_type=VIEW, **SEARCH),
    post("2.0/mlflow/experiments/delete", experiments.delete, experiment_id=TEXT.required),
    post("2.0/mlflow/experiments/restore", experiments.restore, experiment_id=TEXT.required),
    post("2.0/mlflow/experiments/update", experiments.update,
         experiment_id=TEXT.required, new_name=TEXT.required),
    post("2.0/mlflow/experiments/set-experiment-tag", experiments.set_tag,
         experiment_id=TEXT.required, key=TEXT.required, value=TEXT),
    post("2.0/mlflow/experiments/delete-experiment-tag", experiments.delete_tag,
         experiment_id=TEXT.required, key=TEXT.required),
    post("2.0/mlflow/experiments/search-datasets", experiments.search_datasets,
         experiment_ids=TEXTS.required),
]  # fmt: skip

RUNS = [
    post("2.0/mlflow/runs/create", runs.create,
         experiment_id=TEXT, user_id=TEXT, run_name=TEXT, start_time=INT, tags=PAIRS),
    get("2.0/mlflow/runs/get", runs.get, run_id=RUN_ID),
    post("2.0/mlflow/runs/update", runs.update,
         run_id=RUN_ID, status=STATUS, end_time=INT, run_name=TEXT),
    post("2.0/mlflow/runs/delete", runs.delete, run_id=RUN_ID),
    post("2.0/mlflow/runs/restore", runs.restore, run_id=RUN_ID),
    post("2.0/mlflow/runs/search", runs.search,
         experiment_ids=TEXTS, run_view_type=VIEW, **SEARCH),
    post("2.0/mlflow/runs/log-parameter", runs.log_param,
         run_id=RUN_ID, key=TEXT.required, value=TEXT),
    post("2.0/mlflow/runs/set-tag", runs.set_tag,
         run_id=RUN_ID, key=TEXT.required, value=TEXT),
    post("2.0/mlflow/runs/delete-tag", runs.delete_tag, run_id=RUN_ID, key=TEXT.required),
    post("2.0/mlflow/runs/log-inputs", runs.log_inputs, run_id=RUN_ID,
         datasets=listed(nested(dataset=DATASET.required, tags=PAIRS)),
         models=listed(MODEL_INPUT)),
    post("2.0/mlflow/runs/outputs", runs.log_outputs,
         run_id=RUN_ID, models=listed(MODEL_OUTPUT).required),
    post("2.0/mlflow/runs/log-model", runs.log_model,
         run_id=RUN_ID, model_json=TEXT.required),
    post("2.0/mlflow/runs/log-metric", metrics.log_metric, run_id=RUN_ID, **metrics.POINT),
    # The points are read by the handler: there may be a thousand.
    post("2.0/mlflow/runs/log-batch", metrics.log_batch,
         run_id=RUN_ID, metrics=listed(ANY), params=UNIQUE_PAIRS, tags=PAIRS),
]  # fmt: skip

METRICS = [
    get("2.0/mlflow/metrics/get-history", metrics.get_history,
        run_id=RUN_ID, metric_key=TEXT.required, max_results=INT, page_token=TEXT),
    get("2.0/mlflow/metrics/get-history-bulk", metrics.get_history_bulk,
        run_id=TEXTS, metric_key=TEXT.required, max_results=INT),
    get("2.0/mlflow/metrics/get-history-bulk-interval", metrics.get_history_bulk_interval,
        run_ids=TEXTS.required, metric_key=TEXT.required, start_step=INT, end_step=INT,
        max_results=INT),
]  # fmt: skip

LOGGED_MODEL = "2.0/mlflow/logged-models/{model_id}"

LOGGED_MODELS = [
    post("2.0/mlflow/logged-models", logged.create,
         experiment_id=TEXT.required, name=TEXT, model_type=TEXT, source_run_id=TEXT,
         params=PAIRS, tags=PAIRS),
    post("2.0/mlflow/logged-models/search", logged.search,
         experiment_ids=TEXTS.required, filter=TEXT, datasets=listed(METRIC_DATASET),
         max_results=INT, order_by=listed(MODEL_ORDER), page_token=TEXT),
    get(LOGGED_MODEL, logged.get, allow_deleted=BOOL),
    # Clients tell the model twice: where it stands in the path counts, and the body may repeat it.
    patch(LOGGED_MODEL, logged.finalize, model_id=TEXT, status=MODEL_STATUS.required),
    delete(LOGGED_MODEL, logged.delete, model_id=TEXT),
    patch(f"{LOGGED_MODEL}/tags", logged.set_tags, model_id=TEXT, tags=PAIRS),
    # A key may hold slashes.
    delete(f"{LOGGED_MODEL}/tags/{{tag_key:path}}", logged.delete_tag),
    post(f"{LOGGED_MODEL}/params", logged.log_params, model_id=TEXT, params=PAIRS),
    get(f"{LOGGED_MODEL}/artifacts/directories", logged.list_files,
        artifact_directory_path=TEXT, page_token=TEXT),
    get(f"{LOGGED_MODEL}/artifacts/files", logged.get_file,
        artifact_file_path=TEXT.required),
]  # fmt: skip

MODEL = {"name": TEXT.required}
VERSION = {**MODEL, "version": registry.VERSION}
ALIAS = {**MODEL, "alias": TEXT.required}

REGISTERED_MODELS = [
    post("2.0/mlflow/registered-models/create", registry.create,
         **MODEL, tags=PAIRS, description=TEXT),
    post("2.0/mlflow/registered-models/rename", registry.rename,
         **MODEL, new_name=TEXT.required),
    patch("2.0/mlflow/registered-models/update", registry.update, **MODEL, description=TEXT),
    delete("2.0/mlflow/registered-models/delete", registry.delete, **MODEL),
    get("2.0/mlflow/registered-models/get", registry.get, **MODEL),
    get("2.0/mlflow/registered-models/search", registry.search, **SEARCH),
    get("2.0/mlflow/registered-models/get-latest-versions", registry.get_latest_versions,
        **MODEL, stages=TEXTS),
    post("2.0/mlflow/registered-models/get-latest-versions", registry.get_latest_versions,
         **MODEL, stages=TEXTS),
    post("2.0/mlflow/registered-models/set-tag", registry.set_tag,
         **MODEL, key=TEXT.required, value=TEXT),
    delete("2.0/mlflow/registered-models/delete-tag", registry.delete_tag,
           **MODEL, key=TEXT.required),
    post("2.0/mlflow/registered-models/alias", registry.set_alias,
         **ALIAS, version=registry.VERSION),
    get("2.0/mlflow/registered-models/alias", registry.get_by_alias, **ALIAS),
    delete("2.0/mlflow/registered-models/alias", registry.delete_alias, **ALIAS),
]  # fmt: skip

MODEL_VERSIONS = [
    post("2.0/mlflow/model-versions/create", versions.create,
         **MODEL, source=TEXT.required, run_id=TEXT, tags=PAIRS, run_link=TEXT,
         description=TEXT, model_id=TEXT),
    patch("2.0/mlflow/model-versions/update", versions.update, **VERSION, description=TEXT),
    post("2.0/mlflow/model-versions/transition-stage", versions.transition_stage,
         **VERSION, stage=TEXT.required, archive_existing_versions=BOOL),
    delete("2.0/mlflow/model-versions/delete", versions.delete, **VERSION),
    get("2.0/mlflow/model-versions/get", versions.get, **VERSION),
    get("2.0/mlflow/model-versions/search", versions.search, **SEARCH),
    get("2.0/mlflow/model-versions/get-download-uri", versions.get_download_uri, **VERSION),
    post("2.0/mlflow/model-versions/set-tag", versions.set_tag,
         **VERSION, key=TEXT.required, value=TEXT),
    delete("2.0/mlflow/model-versions/delete-tag", versions.delete_tag,
           **VERSION, key=TEXT.required),
]  # fmt: skip

WEBHOOKS = [
    post("2.0/mlflow/webhooks", webhooks.create,
         name=TEXT.required, url=TEXT.required, events=webhooks.EVENTS.required,
         description=TEXT, secret=TEXT, status=webhooks.STATUS),
    get("2.0/mlflow/webhooks", webhooks.list_all, max_results=INT, page_token=TEXT),
    get("2.0/mlflow/webhooks/{webhook_id}", webhooks.get),
    patch("2.0/mlflow/webhooks/{webhook_id}", webhooks.update,
          name=TEXT, url=TEXT, events=webhooks.EVENTS, description=TEXT, secret=TEXT,
          status=webhooks.STATUS),
    delete("2.0/mlflow/webhooks/{webhook_id}", webhooks.delete),
    post("2.0/mlflow/webhooks/{webhook_id}/test", webhooks.try_out, event=webhooks.EVENT),
]  # fmt: skip

PROXY = "2.0/mlflow-artifacts"

# Bytes pass through as they come; what a handler of them is told stands in path and query.
FILES = [
    get("2.0/mlflow/artifacts/list", files.list_of_run,
        run_id=RUN_ID, path=TEXT, page_token=TEXT),
    get(f"{PROXY}/artifacts", files.list_directory, path=TEXT),
    get(f"{PROXY}/artifacts/{{artifact_path:path}}", files.get),
    streamed("PUT", f"{PROXY}/artifacts/{{artifact_path:path}}", files.put),
    delete(f"{PROXY}/artifacts/{{artifact_path:path}}", files.delete),
    post(f"{PROXY}/mpu/create/{{artifact_path:path}}", parts.create,
         path=TEXT.required, num_parts=INT),
    post(f"{PROXY}/mpu/complete/{{artifact_path:path}}", parts.complete,
         path=TEXT.required, upload_id=TEXT, parts=listed(PART).required),
    post(f"{PROXY}/mpu/abort/{{artifact_path:path}}", parts.abort,
         path=TEXT.required, upload_id=TEXT),
    get(f"{PROXY}/presigned/{{artifact_path:path}}", parts.presigned),
    post("2.0/mlflow/artifacts/presigned-upload-url", parts.upload_url,
         run_id=TEXT, model_id=TEXT, path=TEXT.required, expiration=INT),
    post("2.0/mlflow/artifacts/presigned-download-url", parts.download_url,
         run_id=TEXT.required, path=TEXT.required, expiration=INT),
    get("/get-artifact", files.get_of_run, run_id=RUN_ID, path=TEXT.required),
    get("/model-versions/get-artifact", files.get_of_version,
        **VERSION, path=TEXT.required),
    streamed("POST", "2.0/mlflow/upload-artifact", files.post_of_run,
             run_uuid=TEXT.required.called("run_id"), path=TEXT.required),
]  # fmt: skip

TRACE_FILE = f"{PROXY}/artifacts/{{experiment_id}}/traces/{{trace_id}}/artifacts/traces.json"
EXPERIMENT = nested(experiment_id=TEXT.required)
TRACE = nested(
    trace_info=nested(
        trace_id=TEXT.required,
        trace_location=nested(mlflow_experiment=EXPERIMENT.required).required,
        request_time=TIME.required,
        execution_duration=DURATION,
        state=one_of({"STATE_UNSPECIFIED": 0, "OK": 1, "ERROR": 2, "IN_PROGRESS": 3}),
        client_request_id=TEXT,
        request_preview=TEXT,
        response_preview=TEXT,
        trace_metadata=TEXT_MAP,
        tags=TEXT_MAP,
        assessments=listed(ANY),
    ).required,
)
TRACE_STATUS = one_of({"TRACE_STATUS_UNSPECIFIED": 0, "OK": 1, "ERROR": 2, "IN_PROGRESS": 3})
DELETED_TRACES = {
    "experiment_id": TEXT.required,
    "max_timestamp_millis": INT,
    "max_traces": INT,
    "request_ids": TEXTS,
}

TRACES = [
    post("3.0/mlflow/traces", traces.start, trace=TRACE.required),
    get("3.0/mlflow/traces/{trace_id}", traces.get_info),
    get("3.0/mlflow/traces/get", spans.get, trace_id=TEXT.required, allow_partial=BOOL),
    get("3.0/mlflow/traces/batchGet", spans.batch_get,
        trace_ids=TEXTS.required, experiment_ids=TEXTS),
    post("3.0/mlflow/traces/batchGetInfos", traces.batch_get_infos,
         trace_ids=TEXTS.required, experiment_ids=TEXTS),
    post("3.0/mlflow/traces/search", traces.search,
         locations=listed(nested(mlflow_experiment=EXPERIMENT)).required, **SEARCH),
    patch("3.0/mlflow/traces/{trace_id}/tags", traces.set_tag, key=TEXT.required, value=TEXT),
    delete("3.0/mlflow/traces/{trace_id}/tags", traces.delete_tag, key=TEXT.required),
    post("3.0/mlflow/traces/delete-traces", traces.delete, **DELETED_TRACES),
    # What the body of an export is, its headers say.
    streamed("POST", "/v1/traces", spans.export),
    get("2.0/mlflow/get-trace-artifact", spans.artifact, request_id=TEXT, path=TEXT),
    get("3.0/mlflow/get-trace-artifact", spans.artifact, request_id=TEXT, path=TEXT),
    get(TRACE_FILE, spans.read_file),
    streamed("PUT", TRACE_FILE, spans.write_file),
]  # fmt: skip

# Of clients before MLflow 3; newer ones still use some.
OLDER_TRACES = [
    post("2.0/mlflow/traces", traces.older_start, experiment_id=TEXT.required,
         timestamp_ms=INT.required, request_metadata=PAIRS, tags=PAIRS),
    get("2.0/mlflow/traces", traces.older_search, experiment_ids=TEXTS.required, **SEARCH),
    patch("2.0/mlflow/traces/{trace_id}", traces.older_end, timestamp_ms=INT.required,
          status=TRACE_STATUS, request_metadata=PAIRS, tags=PAIRS),
    get("2.0/mlflow/traces/{trace_id}/info", traces.older_info),
    patch("2.0/mlflow/traces/{trace_id}/tags", traces.set_tag, key=TEXT.required, value=TEXT),
    delete("2.0/mlflow/traces/{trace_id}/tags", traces.delete_tag, key=TEXT.required),
    post("2.0/mlflow/traces/delete-traces", traces.delete, **DELETED_TRACES),
    post("2.0/mlflow/traces/link-to-run", traces.link_to_run,
         trace_ids=TEXTS.required, run_id=TEXT.required),
]  # fmt: skip

TABLE: list[Route] = [
    *SERVER,
    *EXPERIMENTS,
    *RUNS,
    *METRICS,
    *LOGGED_MODELS,
    *REGISTERED_MODELS,
    *MODEL_VERSIONS,
    *TRACES,  # above the paths of files, of which a trace's would be one
    *OLDER_TRACES,
    *WEBHOOKS,
    *FILES,
]
