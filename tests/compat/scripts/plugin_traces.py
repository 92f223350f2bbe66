"""Traces of MLflow's client: made by its decorator, read, searched, tagged, linked and deleted."""

import os
import threading

import mlflow
from mlflow import MlflowClient
from mlflow.entities import SpanEvent, SpanStatusCode

client = MlflowClient()
experiment = mlflow.set_experiment(f"traces {os.getpid()}").experiment_id


@mlflow.trace(span_type="RETRIEVER", attributes={"k": 3, "nested": {"a": [1, None, "é"]}})
def retrieve(question: str) -> list[str]:
    span = mlflow.get_current_active_span()
    span.add_event(SpanEvent("looked", attributes={"depth": 2}))
    return [question, "b"]


@mlflow.trace
def answer(question: str) -> dict[str, object]:
    return {"found": retrieve(question), "score": 0.5}


@mlflow.trace
def fail() -> None:
    raise ValueError("no")


def made() -> tuple[str, str, str]:
    """Ids of a trace, of one that failed, and of the run that was active."""
    with mlflow.start_run() as run:
        assert answer("why?") == {"found": ["why?", "b"], "score": 0.5}
        first = mlflow.get_last_active_trace_id()
        try:
            fail()
        except ValueError:
            second = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    return first, second, run.info.run_id


def main() -> None:
    first, second, run_id = made()
    trace = client.get_trace(first)
    assert trace.info.state == "OK", trace.info
    assert trace.info.experiment_id == experiment
    root, child = trace.data.spans
    assert (root.name, child.name, child.parent_id) == ("answer", "retrieve", root.span_id)
    assert root.inputs == {"question": "why?"}
    assert root.outputs == {"found": ["why?", "b"], "score": 0.5}
    assert (child.span_type, child.attributes["k"]) == ("RETRIEVER", 3)
    assert child.attributes["nested"] == {"a": [1, None, "é"]}
    assert [(each.name, dict(each.attributes)) for each in child.events] == [
        ("looked", {"depth": 2})
    ]
    assert root.start_time_ns <= child.start_time_ns <= child.end_time_ns <= root.end_time_ns
    failed = client.get_trace(second)
    assert failed.info.state == "ERROR"
    span = failed.data.spans[0]
    assert span.status.status_code == SpanStatusCode.ERROR
    assert "no" in span.status.description
    assert "exception" in [each.name for each in span.events]

    found = client.search_traces(locations=[experiment])
    assert {each.info.trace_id for each in found} == {first, second}
    assert all(each.data.spans for each in found)
    by_run = client.search_traces(locations=[experiment], run_id=run_id)
    assert len(by_run) == 2
    wrong = client.search_traces(locations=[experiment], filter_string="attributes.status='ERROR'")
    assert [each.info.trace_id for each in wrong] == [second]
    page = client.search_traces(locations=[experiment], max_results=1)
    rest = client.search_traces(locations=[experiment], max_results=1, page_token=page.token)
    assert {page[0].info.trace_id, rest[0].info.trace_id} == {first, second}

    client.set_trace_tag(first, "team", "a")
    tagged = client.search_traces(locations=[experiment], filter_string="tags.team = 'a'")
    assert [each.info.trace_id for each in tagged] == [first]
    client.delete_trace_tag(first, "team")
    assert "team" not in client.get_trace(first).info.tags
    other = client.create_run(experiment).info.run_id
    client.link_traces_to_run([first], other)
    linked = client.search_traces(locations=[experiment], run_id=other)
    assert [each.info.trace_id for each in linked] == [first]

    threads = [threading.Thread(target=answer, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mlflow.flush_trace_async_logging()
    assert len(client.search_traces(locations=[experiment])) == 10
    assert client.delete_traces(experiment, trace_ids=[first]) == 1
    assert len(client.search_traces(locations=[experiment])) == 9


if __name__ == "__main__":
    main()
