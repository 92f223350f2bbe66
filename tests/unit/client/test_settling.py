"""What is read through a client while points that it logged are still on their way."""

from typing import Any

import pytest

from runstone import Client
from runstone._client import _base
from runstone._journal import outlet
from runstone.tracking.v1 import run_pb2

RUN = "a" * 32


def test_a_read_says_when_it_may_lack_what_was_logged(
    server: Any, refuse: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_base, "SETTLE_SECONDS", 0.2)
    server.answers["AppendMetrics"] = refuse("UNAVAILABLE", "DATABASE_UNAVAILABLE", "away")
    server.answers["GetRun"] = lambda request, _: run_pb2.GetRunResponse(
        run=run_pb2.Run(run_id=request.run_id)
    )
    client = Client(server.uri)
    client.get_run(RUN)
    assert "may lack" not in caplog.text
    outlet.of(client).log(RUN, {"loss": 1.0}, 0, 1)
    client.get_run(RUN)
    assert caplog.text.count("what is read may lack metrics that this process logged") == 1
