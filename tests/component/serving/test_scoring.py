"""MLflow's scoring protocol over real HTTP: every form of a request, and what is refused."""

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runstone._version import __version__
from support.processes import wait_until
from support.serving import JSON, Held, Serving, ask, predictions, serving

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"

ROWS = [{"a": 1.0, "b": 2.0, "c": 3}, {"a": 4.0, "b": 5.0, "c": 6}]
WANTED = pytest.approx([321.0, 654.0])
SPLIT = {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4.0, 5.0, 6]]}


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(rows).to_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Serving]:
    with serving(model, max_body_bytes=100_000, name="sums") as started:
        yield started


@pytest.fixture(scope="module")
def unchecked(unsigned: Path) -> Iterator[Serving]:
    with serving(unsigned) as started:
        yield started


FORMS = [
    ({"dataframe_split": SPLIT}, JSON),
    ({"dataframe_split": {**SPLIT, "index": [7, 8]}, "params": None}, JSON),
    ({"dataframe_split": {"columns": ["c", "b", "a"], "data": [[3, 2, 1], [6, 5, 4]]}}, JSON),
    ({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3.0], [4, 5, 6.0]]}}, JSON),
    ({"dataframe_records": ROWS}, JSON),
    ({"dataframe_records": [{**row, "more": "text"} for row in ROWS]}, JSON),
    ({"instances": ROWS}, JSON),
    ({"instances": [[1.0, 2.0, 3], [4.0, 5.0, 6]]}, JSON),
    ({"inputs": {"a": [1.0, 4.0], "b": [2, 5], "c": [3, 6]}}, JSON),
    ({"inputs": ROWS}, f"{JSON}; charset=utf-8"),
    (b"a,b,c\n1,2,3\n4,5,6\n", CSV),
    (b"c,b,a\n3,2,1.0\n6,5,4.0\n", f"{CSV}; charset=UTF-8"),
    (parquet(ROWS), PARQUET),
    (parquet(ROWS), "application/x-parquet"),
]


@pytest.mark.parametrize(("body", "kind"), FORMS)
def test_every_form_of_a_request_gets_the_same(served: Serving, body: Any, kind: str) -> None:
    assert predictions(served.port, body, kind) == WANTED


def test_a_single_row_of_columns(served: Serving) -> None:
    found = predictions(served.port, {"inputs": {"a": 1, "b": 2, "c": 3}})
    assert found == pytest.approx([321.0])


def test_no_rows_get_no_predictions_or_a_reason(served: Serving) -> None:
    answer = ask(served.port, "/invocations", {"dataframe_split": {**SPLIT, "data": []}})
    # scikit-learn itself refuses to predict nothing.
    assert answer.status == 400
    assert "0 sample" in answer.json["message"]


def test_without_a_signature_arrays_are_taken_as_they_are(unchecked: Serving) -> None:
    for body in (
        {"instances": [[1, 2, 3], [4.5, 5, 6]]},
        {"inputs": [[1, 2, 3], [4.5, 5, 6]]},
        {"dataframe_split": {"data": [[1, 2, 3], [4.5, 5, 6]]}},
    ):
        assert predictions(unchecked.port, body) == pytest.approx([6.0, 15.5])


def test_it_says_how_it_is(served: Serving) -> None:
    for path in ("/ping", "/health"):
        assert ask(served.port, path)[:2] == (200, b"\n")
    assert ask(served.port, "/version").body.decode() == __version__
    assert ask(served.port, "/ping", method="HEAD")[:2] == (200, b"")


def split(**changes: Any) -> dict[str, Any]:
    return {"dataframe_split": {**SPLIT, **changes}}


MALFORMED: list[tuple[Any, str | None, int]] = [
    (b"", JSON, 400),
    (b"{", JSON, 400),
    (b"null", JSON, 400),
    (b"[]", JSON, 400),
    (b"3", JSON, 400),
    (b"true", JSON, 400),
    (b'"text"', JSON, 400),
    (b"NaN", JSON, 400),
    (b"{NaN", JSON, 400),
    (b"\xff\xfe", JSON, 400),
    (b'{"inputs": "\xff"}', JSON, 400),
    (b'{"inputs": [1,]}', JSON, 400),
    (b"[" * 50_000, JSON, 400),
    (b'{"inputs": ' + b"[" * 2000 + b"]" * 2000 + b"}", JSON, 400),
    ({}, JSON, 400),
    ({"params": {}}, JSON, 400),
    ({"columns": ["a"], "data": [[1]]}, JSON, 400),
    ({"inputs": [1], "instances": [1]}, JSON, 400),
    ({"dataframe_split": SPLIT, "dataframe_records": ROWS}, JSON, 400),
    ({"dataframe_split": SPLIT, "params": []}, JSON, 400),
    ({"dataframe_split": SPLIT, "params": "x"}, JSON, 400),
    ({"dataframe_split": SPLIT, "params": 3}, JSON, 400),
    ({"dataframe_split": None}, JSON, 400),
    ({"dataframe_split": []}, JSON, 400),
    ({"dataframe_split": "a"}, JSON, 400),
    ({"dataframe_split": {"columns": ["a", "b", "c"]}}, JSON, 400),
    (split(more=1), JSON, 400),
    (split(data=None), JSON, 400),
    (split(data={}), JSON, 400),
    (split(data=[[1, 2]]), JSON, 400),
    (split(data=[[1, 2, 3], [1, 2]]), JSON, 400),
    (split(data=[[1, 2, 3, 4]]), JSON, 400),
    (split(data=[1, 2, 3]), JSON, 400),
    (split(data=["abc"]), JSON, 400),
    (split(data=[[1, 2, "x"]]), JSON, 400),
    (split(data=[["x", 2, 3]]), JSON, 400),
    (split(data=[[None, None, None]]), JSON, 400),
    (split(data=[[1, 2, None]]), JSON, 400),
    (split(data=[[1, 2, 3.5]]), JSON, 400),
    (split(data=[[1, 2, 10**30]]), JSON, 400),
    (split(data=[[1, 2, True]]), JSON, 400),
    (split(data=[[1, [2], 3]]), JSON, 400),
    (split(data=[[1, {"b": 2}, 3]]), JSON, 400),
    (split(data=[{"a": 1}]), JSON, 400),
    (split(columns=["a", "b"]), JSON, 400),
    (split(columns=["a", "b", "b"]), JSON, 400),
    (split(columns=["a", "b", "d"]), JSON, 400),
    (split(columns=["a", "b", ["c"]]), JSON, 400),
    (split(columns="abc"), JSON, 400),
    (split(columns=None), JSON, 400),
    (split(index=[1]), JSON, 400),
    (split(index="x"), JSON, 400),
    ({"dataframe_records": {}}, JSON, 400),
    ({"dataframe_records": None}, JSON, 400),
    ({"dataframe_records": [1]}, JSON, 400),
    ({"dataframe_records": [ROWS[0], [1, 2, 3]]}, JSON, 400),
    ({"dataframe_records": [ROWS[0], None]}, JSON, 400),
    ({"dataframe_records": [{}]}, JSON, 400),
    ({"dataframe_records": [ROWS[0], {"a": 1.0}]}, JSON, 400),
    ({"dataframe_records": [{"a": 1.0, "b": {}, "c": 3}]}, JSON, 400),
    ({"instances": None}, JSON, 400),
    ({"instances": 3}, JSON, 400),
    ({"instances": {}}, JSON, 400),
    ({"instances": [1, 2]}, JSON, 400),
    ({"instances": [ROWS[0], 1]}, JSON, 400),
    ({"inputs": None}, JSON, 400),
    ({"inputs": 3}, JSON, 400),
    ({"inputs": "x"}, JSON, 400),
    ({"inputs": []}, JSON, 400),
    ({"inputs": {"a": [1], "b": [1, 2], "c": [3]}}, JSON, 400),
    ({"inputs": {"a": [1], "b": 2, "c": [3]}}, JSON, 400),
    ({"inputs": {"a": [1]}}, JSON, 400),
    ({"inputs": [[1, 2], [3]]}, JSON, 400),
    ({"inputs": [1, [2]]}, JSON, 400),
    (b"", CSV, 400),
    (b"a,b,c\n", CSV, 400),
    (b"a,b\n1,2\n", CSV, 400),
    (b"a,b,c\n1,2,x\n", CSV, 400),
    (b"a,b,c\n1,2\n1,2,3,4,5\n", CSV, 400),
    (b"\xff\xfe\x00", CSV, 400),
    (b'a,b,c\n"1,2,3\n', CSV, 400),
    (b"", PARQUET, 400),
    (b"PAR1", PARQUET, 400),
    (parquet(ROWS)[:-20], PARQUET, 400),
    (parquet([{"a": 1.0}]), PARQUET, 400),
    (parquet([{"a": "x", "b": "y", "c": "z"}]), PARQUET, 400),
    ({"dataframe_split": SPLIT}, None, 415),
    ({"dataframe_split": SPLIT}, "text/plain", 415),
    ({"dataframe_split": SPLIT}, "application/xml", 415),
    ({"dataframe_split": SPLIT}, "application/json; charset=latin-1", 415),
    ({"dataframe_split": SPLIT}, "application/json; odata=verbose", 415),
    ({"dataframe_split": SPLIT}, ";", 415),
    (b" " * 100_001, JSON, 413),
]


@pytest.mark.parametrize(("body", "kind", "status"), MALFORMED)
def test_what_the_caller_did_wrong_is_told(
    served: Serving, body: Any, kind: str | None, status: int
) -> None:
    answer = ask(served.port, "/invocations", body, kind)
    assert answer.status == status, answer
    assert answer.json.keys() == {"error_code", "message"}
    assert answer.json["message"]
    assert predictions(served.port, {"dataframe_split": SPLIT}) == WANTED


def test_there_are_enough_of_them() -> None:
    assert len(MALFORMED) >= 60


UNSIGNED = [
    {"instances": [[1, 2], [3]]},
    {"instances": [{"a": 1}, {"b": 1}]},
    {"instances": [{"a": 1}, 2]},
    {"inputs": {"a": [1, [2]]}},
    {"inputs": [[1, 2]]},
    {"inputs": [["x", "y", "z"]]},
    {"inputs": 5},
    {"dataframe_split": {"data": [[1, 2, 3]], "columns": ["a", "b"]}},
    {"dataframe_records": []},
    {"inputs": {}},
]


@pytest.mark.parametrize("body", UNSIGNED)
def test_a_model_that_fails_on_data_is_no_failure_of_the_server(
    unchecked: Serving, body: Any
) -> None:
    answer = ask(unchecked.port, "/invocations", body)
    assert answer.status == 400, answer
    assert "Traceback" not in answer.json["message"]
    assert ask(unchecked.port, "/ping").status == 200


def test_a_mismatch_names_columns_and_types(served: Serving) -> None:
    body = {"dataframe_split": {"columns": ["a", "c"], "data": [["x", 1.5]]}}
    answer = ask(served.port, "/invocations", body)
    assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE"
    said = answer.json["message"]
    assert "column 'b' is missing, must be double" in said
    assert "column 'a'" in said
    assert "column 'c'" in said
    assert "long" in said


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/invocations", "GET", 405),
        ("/invocations", "PUT", 405),
        ("/ping", "POST", 405),
        ("/nothing", "GET", 404),
        ("/invocations/", "POST", 404),
        ("/v2/models/other", "GET", 404),
        ("/v2/models/sums/versions/9", "GET", 404),
    ],
)
def test_other_paths_and_methods(served: Serving, path: str, method: str, status: int) -> None:
    assert ask(served.port, path, method=method).status == status


def test_a_long_body_without_its_length_is_cut_off(served: Serving) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as wire:
        wire.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"%x\r\n%b\r\n" % (60_000, b" " * 60_000)
        wire.sendall(piece * 2)
        assert wire.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_caller_that_hangs_up_harms_nobody(served: Serving) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as wire:
        wire.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
    assert predictions(served.port, {"dataframe_split": SPLIT}) == WANTED


def test_a_body_that_does_not_come_is_not_waited_for(model: Path) -> None:
    with (
        serving(model, timeout_s=0.05) as started,
        socket.create_connection(("127.0.0.1", started.port), timeout=30) as wire,
    ):
        wire.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        assert wire.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_prediction_that_takes_too_long_is_given_up(model: Path) -> None:
    with serving(model, timeout_s=0.2) as started:
        held = Held(lambda _data, _params: [1])
        with started.engine.using() as loaded:
            real, loaded.model._predictor = loaded.model._predictor, held
        answer = ask(started.port, "/invocations", {"dataframe_split": SPLIT})
        assert (answer.status, answer.json["error_code"]) == (504, "DEADLINE_EXCEEDED")
        # The event loop was never held up.
        assert ask(started.port, "/ping").status == 200
        held.release.set()
        loaded.model._predictor = real
        assert predictions(started.port, {"dataframe_split": SPLIT}) == WANTED


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError("much")])
def test_what_the_model_did_wrong_is_not_the_callers(model: Path, error: Exception) -> None:
    def fail(_data: Any, _params: Any) -> None:
        raise error

    with serving(model) as started:
        with started.engine.using() as loaded:
            loaded.model._predictor = fail
        answer = ask(started.port, "/invocations", {"dataframe_split": SPLIT})
        assert (answer.status, answer.json["error_code"]) == (500, "INTERNAL_ERROR")
        assert ask(started.port, "/ping").status == 200


def test_requests_in_progress_are_answered_before_it_ends(model: Path) -> None:
    import threading

    started = Serving(_settings(model))
    started.start()
    held = Held(lambda data, _params: [float(len(data))])
    with started.engine.using() as loaded:
        loaded.model._predictor = held
    answers: list[Any] = []

    def call() -> None:
        answers.append(predictions(started.port, {"dataframe_split": SPLIT}))

    caller = threading.Thread(target=call)
    caller.start()
    assert held.entered.acquire(timeout=10)
    ender = threading.Thread(target=started.stop)
    ender.start()
    wait_until(lambda: started.engine.state == "stopping")
    assert not answers
    held.release.set()
    caller.join()
    ender.join()
    assert answers == [[2.0]]


def _settings(model: Path) -> Any:
    from runstone._serving.settings import Settings

    return Settings(str(model), port=0, grace_s=10.0)


def test_until_the_model_is_loaded_callers_are_told_to_come_later(model: Path) -> None:
    held = Held(lambda: None)

    def slow(started: Serving) -> None:
        load = started.engine.load

        def wait_and_load(version: str | None = None) -> None:
            held()
            load(version)

        started.engine.load = wait_and_load  # type: ignore[method-assign]

    import threading

    from support.processes import free_port, listens

    port = free_port()
    got: list[Any] = []

    def look() -> None:
        wait_until(lambda: listens(port))
        got.append(ask(port, "/invocations", {"dataframe_split": SPLIT}))
        got.append(ask(port, "/v2/health/ready"))
        got.append(ask(port, "/v2/health/live"))
        held.release.set()

    looker = threading.Thread(target=look)
    looker.start()
    with serving(model, prepare=slow, port=port) as started:
        looker.join()
        assert [each.status for each in got] == [503, 503, 200]
        assert got[0].headers["retry-after"] == "1"
        assert predictions(started.port, {"dataframe_split": SPLIT}) == WANTED


def test_figures_for_prometheus(model: Path) -> None:
    with serving(model) as started:
        predictions(started.port, {"dataframe_split": SPLIT})
        ask(started.port, "/invocations", b"{")
        page = ask(started.port, "/metrics").body.decode()
    assert 'runstone_serving_requests_total{endpoint="/invocations",status="200"} 1.0' in page
    assert 'runstone_serving_requests_total{endpoint="/invocations",status="400"} 1.0' in page
    assert "runstone_serving_batch_rows_sum 2.0" in page
    assert 'runstone_serving_seconds_count{endpoint="/invocations"} 2.0' in page
    assert "runstone_serving_in_flight 1.0" in page
