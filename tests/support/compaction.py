"""Points that are appended segment by segment, and read back whole."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from runstone_kit.database import Database
from runstone_tracking import segment_encode
from runstone_tracking.service_folds import Folded, Folds
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from support.metric_points import Point, batch, bits, points_of

Bits = tuple[int, int, bytes]
"""Step, timestamp, and the value bit for bit."""


class Writer:
    """Appends points of one writer, and remembers them."""

    def __init__(self, transactions: SqlTransactions, run: str, name: str = "w") -> None:
        self.transactions, self.run, self.name = transactions, run, name
        self.sequence = 0

    def append(self, series: dict[str, Sequence[Point]]) -> None:
        """The next batch."""
        self.sequence += 1
        made = segment_encode.encode(self.run, self.name, self.sequence, batch(series))
        assert self.transactions.write(lambda s: s.metrics.append([made])) == [True]


def history(
    transactions: SqlTransactions, run: str, key: str, rank: int | None = None
) -> list[Bits]:
    """Every point of a key, in the order in which it is given."""
    pieces = MetricService(transactions).history(run, key, rank)
    return [point for piece in pieces for point in bits(points_of(piece))]


def fold(transactions: SqlTransactions, run: str, holder: str = "test", **how: int) -> list[Folded]:
    """Fold a run to its last point, as a service that has claimed it; each fold."""
    folds = Folds(transactions, **how)
    done: list[Folded] = []
    while not done or done[-1].more:
        claim(transactions, run, holder)
        done.append(folds.fold(run, holder))
    return done


def claim(transactions: SqlTransactions, run: str, holder: str = "test") -> None:
    """Have a run, whoever had it before."""
    transactions.write(lambda s: s.chunks.claim(run, holder, 2**62, 2**62))


def count_of(database: Database, table: Any) -> int:
    """How many rows a table has."""
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
