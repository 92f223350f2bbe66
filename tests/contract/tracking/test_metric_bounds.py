"""How many keys a run may have, on each database."""

from __future__ import annotations

from typing import Any

import pytest

from runstone_tracking import segment_encode, sqlstore_metrics
from runstone_tracking.errors import TooManyMetrics
from runstone_tracking.model_metrics import Append, NewSegment
from runstone_tracking.service_appends import GroupedAppends, _Ticket, _Turn
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from support.metric_points import batch
from support.tracking import add_run

LIMIT = 50


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlstore_metrics, "MAX_KEYS", LIMIT)


def made(run: str, sequence: int, keys: range, writer: str = "w", rank: int = -1) -> NewSegment:
    named = {f"k{key:07}" + (f"\t{rank}" if rank >= 0 else ""): [(1, 1, 0.5)] for key in keys}
    return segment_encode.encode(run, writer, sequence, batch(named))


def stored(transactions: SqlTransactions, run: str) -> int:
    return len(transactions.read(lambda s: s.metrics.summaries([run])).get(run, ()))


@pytest.mark.usefixtures("limit")
def test_a_run_has_so_many_keys_and_no_more(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    append: Any = lambda *new: transactions.write(lambda s: s.metrics.append(new))  # noqa: E731
    assert append(made(run, 1, range(LIMIT - 1))) == [True]
    with pytest.raises(TooManyMetrics) as many:
        append(made(run, 2, range(LIMIT - 2, LIMIT + 1)))
    assert many.value.metadata["run_id"] == run
    assert many.value.metadata["limit"] == str(LIMIT)
    assert many.value.metadata["key"] in {f"k{LIMIT - 1:07}", f"k{LIMIT:07}"}
    assert many.value.metadata["key"] in many.value.message
    assert stored(transactions, run) == LIMIT - 1
    # Nothing of the batch was written, its number neither; what fits goes on.
    assert append(made(run, 2, range(LIMIT))) == [True]
    assert append(made(run, 3, range(LIMIT))) == [True]
    # A rank is a series and not a key.
    assert append(made(run, 4, range(LIMIT), rank=3)) == [True]
    with pytest.raises(TooManyMetrics):
        append(made(run, 5, range(LIMIT, LIMIT + 1)))
    # Also when another segment of the group is refused, which takes another way.
    with pytest.raises(TooManyMetrics):
        append(made(run, 1, range(LIMIT)), made(run, 5, range(LIMIT, LIMIT + 1)))
    assert stored(transactions, run) == LIMIT


@pytest.mark.usefixtures("limit")
def test_a_group_loses_only_the_batch_that_is_too_much(transactions: SqlTransactions) -> None:
    full, other = transactions.write(add_run), transactions.write(add_run)
    service = MetricService(transactions)
    points = batch({f"k{key:07}": [(1, 1, 0.5)] for key in range(LIMIT)})
    assert service.append(Append(full, "w", 1, points))
    appends = GroupedAppends(segment_encode.encode_all, transactions.append)
    one = Append(full, "w", 2, batch({"new": [(1, 1, 0.5)]}))
    two = Append(other, "w", 1, batch({f"k{key}": [(1, 1, 0.5)] for key in range(3)}))
    tickets = [_Ticket(each) for each in (one, two)]
    appends._commit(tickets, _Turn())
    assert isinstance(tickets[0].error, TooManyMetrics)
    assert tickets[1].outcome is True
    assert (stored(transactions, full), stored(transactions, other)) == (LIMIT, 3)


def test_the_limit_is_what_the_contract_says(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    step = 20_000
    for number in range(100_000 // step):
        keys = range(number * step, (number + 1) * step)
        new = made(run, number + 1, keys)
        assert transactions.write(lambda s, new=new: s.metrics.append([new])) == [True]
    last = made(run, 6, range(100_000, 100_001))
    with pytest.raises(TooManyMetrics, match="100000"):
        transactions.write(lambda s: s.metrics.append([last]))
    assert stored(transactions, run) == 100_000
