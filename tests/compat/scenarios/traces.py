"""Traces: made by decorator and by hand, searched, tagged, deleted, assessed."""

import time

import mlflow
from _recorder import Recorder
from mlflow.entities import SpanType

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)
mlflow.set_experiment(experiment_id=experiment)


# How long the JSON of a span is depends on its times.
VARYING = ("mlflow.trace.sizeBytes", "mlflow.trace.sizeStats", "mlflow.source.git.commit")


def flush():
    mlflow.flush_trace_async_logging()


def shown(trace):
    """What must be the same of a trace, whatever server keeps it."""
    info = trace.info
    return {
        "status": str(getattr(info.state, "value", info.state)),
        "request": trace.data.request,
        "response": trace.data.response,
        "preview": [info.request_preview, info.response_preview],
        "tags": {k: v for k, v in info.tags.items() if not k.startswith("mlflow.git")},
        "metadata": {k: v for k, v in info.trace_metadata.items() if k not in VARYING},
        "spans": [
            {
                "name": span.name,
                "type": span.span_type,
                "status": str(span.status.status_code),
                "inputs": span.inputs,
                "outputs": span.outputs,
                "parent": bool(span.parent_id),
                "attributes": sorted(span.attributes),
                "events": [event.name for event in span.events],
            }
            for span in trace.data.spans
        ],
    }


@mlflow.trace(span_type=SpanType.CHAIN, attributes={"k": "v"})
def outer(x):
    with mlflow.start_span("inner", span_type=SpanType.TOOL) as span:
        span.set_inputs({"x": x})
        span.set_outputs(x + 1)
    return x * 2


@mlflow.trace
def failing(x):
    raise ValueError("no")


r.call("decorated", outer, 5)
first = mlflow.get_last_active_trace_id()
r.call("failing", failing, 1)
second = mlflow.get_last_active_trace_id()
with mlflow.start_span("by hand") as span:
    span.set_inputs({"text": "größe ✓"})
    span.set_outputs({"answer": [1, 2.5, None]})
    mlflow.update_current_trace(tags={"made": "by hand"})
third = mlflow.get_last_active_trace_id()
flush()
r.call("get: decorated", lambda: shown(mlflow.get_trace(first)))
r.call("get: failing", lambda: shown(mlflow.get_trace(second)))
r.call("get: by hand", lambda: shown(client.get_trace(third)))
r.call("get: unknown", mlflow.get_trace, "tr-" + "0" * 32)
r.call("get: unknown by client", client.get_trace, "tr-" + "0" * 32)
r.call("get: not an id", client.get_trace, "a b")
root = client.start_trace("by client", inputs={"q": 1}, tags={"t": "u"})
inside = client.start_span("child", root.trace_id, root.span_id, inputs={"a": 1})
client.end_span(root.trace_id, inside.span_id, outputs={"b": 2})
client.end_trace(root.trace_id, outputs={"z": 26}, status="OK")
flush()
r.call("get: by client", lambda: shown(client.get_trace(root.trace_id)))

# --- Tags -------------------------------------------------------------------------------------

r.call("tag", client.set_trace_tag, first, "team", "vision")
r.call("tag: changed", client.set_trace_tag, first, "team", "speech")
r.call("tag: unknown", client.set_trace_tag, "tr-" + "0" * 32, "a", "b")
r.call("tag: long key", client.set_trace_tag, first, "k" * 251, "b")
r.call("tag: long value", client.set_trace_tag, first, "k", "v" * 9000)
r.call("tags", lambda: sorted(client.get_trace(first).info.tags))
r.call("delete tag", client.delete_trace_tag, first, "team")
r.call("delete tag: again", client.delete_trace_tag, first, "team")
r.call("delete tag: unknown", client.delete_trace_tag, "tr-" + "0" * 32, "a")

# --- Search -----------------------------------------------------------------------------------

with mlflow.start_run(run_name="run") as run:
    outer(7)
flush()
names = {first: "decorated", second: "failing", third: "by hand", root.trace_id: "client"}


def found(filter_string=None, experiments=(experiment,), **options):
    page = client.search_traces(
        list(experiments), filter_string=filter_string, order_by=["timestamp_ms ASC"], **options
    )
    return {
        "traces": [names.get(each.info.trace_id, "other") for each in page],
        "more": bool(page.token),
    }


for filter_string in (
    None,
    "",
    "status = 'OK'",
    "status = 'ERROR'",
    "status != 'OK'",
    "attributes.status = 'OK'",
    "trace.status = 'ERROR'",
    "name = 'outer'",
    "trace.name = 'failing'",
    "name LIKE 'o%'",
    "tags.made = 'by hand'",
    "tag.made = 'by hand'",
    "tags.made IS NULL",
    "timestamp > 0",
    "timestamp_ms > 0",
    "timestamp_ms < 5",
    "execution_time_ms >= 0",
    "execution_time > 1000000",
    f"run_id = '{run.info.run_id}'",
    f"metadata.mlflow.sourceRun = '{run.info.run_id}'",
    f"request_id = '{first}'",
    f"trace_id = '{first}'",
    "colour = 'x'",
    "status > 'OK'",
    "status =",
    "tags.made = 'by hand' OR status = 'OK'",
):
    shown_filter = (
        str(filter_string).replace(run.info.run_id, "<run>").replace(str(first), "<trace>")
    )
    r.call(f"filter: {shown_filter}", found, filter_string)
r.call("search: page", found, max_results=2)
page = client.search_traces([experiment], max_results=2, order_by=["timestamp_ms ASC"])
r.call("search: next page", found, max_results=2, page_token=page.token)
r.call("search: rubbish token", found, page_token="rubbish")
for size in (0, -1, 500, 501):
    r.call(f"search: max_results {size}", found, max_results=size)
r.call("search: unknown experiment", found, None, ("123456789",))
r.call("search: of a run", lambda: len(client.search_traces([experiment], run_id=run.info.run_id)))
for order in (
    ["timestamp_ms DESC"],
    ["execution_time_ms ASC"],
    ["name"],
    ["colour"],
    ["timestamp_ms sideways"],
):
    r.call(f"order: {order}", lambda: len(client.search_traces([experiment], order_by=order)))
r.call(
    "fluent: search",
    lambda: len(mlflow.search_traces(experiment_ids=[experiment], return_type="list")),
)

# --- Assessments ------------------------------------------------------------------------------

if hasattr(mlflow, "log_feedback"):
    r.call(
        "feedback",
        lambda: mlflow.log_feedback(trace_id=first, name="good", value=True, rationale="yes").value,
    )
    r.call(
        "expectation", lambda: mlflow.log_expectation(trace_id=first, name="answer", value=10).value
    )
    r.call(
        "feedback: unknown",
        lambda: mlflow.log_feedback(trace_id="tr-" + "0" * 32, name="good", value=1),
    )
    r.call(
        "assessments",
        lambda: sorted(
            [each.name, each.value] for each in mlflow.get_trace(first).info.assessments
        ),
    )

# --- Delete -----------------------------------------------------------------------------------

r.call("delete", client.delete_traces, experiment, trace_ids=[second])
r.call("delete: again", client.delete_traces, experiment, trace_ids=[second])
r.call("delete: deleted", client.get_trace, second)
r.call("delete: neither", client.delete_traces, experiment)
r.call("delete: both", client.delete_traces, experiment, max_timestamp_millis=5, trace_ids=[first])
r.call("delete: unknown experiment", client.delete_traces, "123456789", trace_ids=[first])
r.call("delete: old ones", client.delete_traces, experiment, max_timestamp_millis=5)
r.call(
    "delete: all but two",
    lambda: client.delete_traces(
        experiment, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=2
    ),
)
r.call("left", lambda: len(client.search_traces([experiment])))

r.finish()
