"""Requests that come together are predicted together, and each gets its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.serving import ask, predictions, serving

CALLERS = 6


def body(number: int) -> dict[str, Any]:
    columns = ["a", "b", "c"]
    return {"dataframe_split": {"columns": columns, "data": [[float(number), 0.0, 0]]}}


def test_requests_are_joined_and_their_answers_are_not(model: Path) -> None:
    # A minute: what sends the batch is that it is full.
    with serving(model, batch_rows=CALLERS, batch_wait_ms=60_000.0) as started:
        sizes = _watched(started.engine)
        with ThreadPoolExecutor(CALLERS) as pool:
            found = list(pool.map(lambda n: predictions(started.port, body(n)), range(CALLERS)))
        assert found == [pytest.approx([float(n)]) for n in range(CALLERS)]
        assert sizes == [CALLERS]


def test_a_request_alone_waits_only_so_long(model: Path) -> None:
    with serving(model, batch_rows=100, batch_wait_ms=1.0) as started:
        assert predictions(started.port, body(3)) == pytest.approx([3.0])
        assert ask(started.port, "/invocations", b"{").status == 400


def test_one_that_is_at_fault_does_not_harm_the_others(model: Path) -> None:
    with serving(model, batch_rows=CALLERS, batch_wait_ms=60_000.0) as started:
        with started.engine.using() as loaded:
            real = loaded.model._predictor

        def refuse(data: Any, params: Any) -> Any:
            if (data["a"] == 2).any():
                raise ValueError("2 is not taken")
            return real(data, params)

        loaded.model._predictor = refuse
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = list(
                pool.map(lambda n: ask(started.port, "/invocations", body(n)), range(CALLERS))
            )
        assert [each.status for each in answers] == [200, 200, 400, 200, 200, 200]
        assert "2 is not taken" in answers[2].json["message"]


def test_what_is_not_one_prediction_for_each_row_is_not_cut_up(model: Path) -> None:
    with serving(model, batch_rows=2, batch_wait_ms=60_000.0) as started:
        with started.engine.using() as loaded:
            loaded.model._predictor = lambda data, _: {"rows": len(data)}
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda n: predictions(started.port, body(n)), range(2)))
        assert found == [{"rows": 1}, {"rows": 1}]


def _watched(engine: Any) -> list[int]:
    """The rows of each prediction that is made from now on."""
    sizes: list[int] = []
    lock = threading.Lock()

    def note(rows: int) -> None:
        with lock:
            sizes.append(rows)

    engine.meters.predicted = note
    return sizes
