"""The stores on each database."""

from collections.abc import Iterator

import pytest

from runstone_kit.clock import SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import SystemIds
from runstone_tracking.service_names import RandomNames
from runstone_tracking.service_repeats import Repeats
from runstone_tracking.service_runs import RunService
from runstone_tracking.sqlstore import SqlTransactions
from support import tracking


@pytest.fixture
def database(tracking_url: str) -> Iterator[Database]:
    with tracking.opened(tracking_url, pool_size=6) as database:
        yield database


@pytest.fixture
def transactions(database: Database) -> SqlTransactions:
    return SqlTransactions(database)


@pytest.fixture
def runs(transactions: SqlTransactions) -> RunService:
    clock = SystemClock()
    repeats = Repeats(transactions, clock)
    return RunService(transactions, clock, SystemIds(), RandomNames(), repeats)


@pytest.fixture
def run(transactions: SqlTransactions) -> str:
    """A run's id."""
    return transactions.write(tracking.add_run)
