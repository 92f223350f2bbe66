"""Tags that are written only where they are as they were read, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from runstone_tracking.errors import EtagMismatch
from runstone_tracking.model import Run, RunBatch
from runstone_tracking.service_runs import RunService
from runstone_tracking.sqlstore import SqlTransactions


def get(transactions: SqlTransactions, run: str) -> Run:
    return transactions.read(lambda s: s.runs.get(run))


def test_tags_that_are_expected(runs: RunService, transactions: SqlTransactions, run: str) -> None:
    runs.log_batch(RunBatch(run, tags={"a": "1"}, expected_tags={"a": "", "b": ""}), None)
    before = get(transactions, run)
    for expected in ({"a": ""}, {"a": "2"}, {"a": "1", "b": "1"}):
        with pytest.raises(EtagMismatch) as caught:
            runs.log_batch(RunBatch(run, {"p": "1"}, {"a": "3"}, expected_tags=expected), None)
        assert caught.value.metadata["key"] in expected
    assert get(transactions, run) == before
    runs.log_batch(RunBatch(run, tags={"a": "2"}, expected_tags={"a": "1"}), None)
    assert get(transactions, run).tags["a"] == "2"


def test_a_tag_that_many_add_to_at_once_loses_nothing(
    runs: RunService, transactions: SqlTransactions, run: str
) -> None:
    def add(number: int) -> None:
        while True:
            before = get(transactions, run).tags.get("all", "")
            batch = RunBatch(run, tags={"all": f"{before} {number}"}, expected_tags={"all": before})
            try:
                return runs.log_batch(batch, None)
            except EtagMismatch:
                continue

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(12)))
    found = get(transactions, run).tags["all"]
    assert sorted(map(int, found.split())) == [*range(12)]
