"""A model noted in its run's tag, when the answer to the note is lost."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

from runstone.tracking.v1 import run_pb2
from runstone_gateway.routes_runs import log_model
from runstone_kit.interceptors.error_mapping import status_of
from runstone_kit.peers import refusal
from runstone_tracking.errors import EtagMismatch

MISMATCH = status_of(EtagMismatch("not as expected"), "tracking.runstone").SerializeToString()
MODEL = {"artifact_path": "m", "flavors": {}, "utc_time_created": "", "run_id": "r"}


class Server:
    """Loses its first answer, after the commit; the channel repeats the call."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.notes = 0
        self.tracking = SimpleNamespace(GetRun=self.get, LogBatch=self.log)
        self.remembered = SimpleNamespace(noting=WeakValueDictionary())

    async def ask(self, method: Any, message: Any) -> Any:
        return method(message)

    def get(self, _: Any) -> Any:
        return run_pb2.GetRunResponse(run=run_pb2.Run(tags=self.tags))

    def log(self, message: Any) -> None:
        self.notes += 1
        self.tags = dict(message.tags)
        if self.notes == 1:
            raise refusal(MISMATCH)


def test_a_note_whose_answer_is_lost_stands_once() -> None:
    server: Any = Server()
    asyncio.run(log_model(server, "r", json.dumps(MODEL)))
    assert [json.loads(each) for each in server.tags.values()] == [[MODEL]]
    # Somebody who logs it again means it.
    asyncio.run(log_model(server, "r", json.dumps(MODEL)))
    assert [json.loads(each) for each in server.tags.values()] == [[MODEL, MODEL]]
