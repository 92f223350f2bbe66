"""Searching logged models on both databases, against a plain Python evaluation of the same."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import pytest

from runstone_kit.clock import SystemClock
from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import OrderBy, parse
from runstone_kit.ids import SystemIds
from runstone_tracking.model import ModelMetric, SearchRequest, Stage, View
from runstone_tracking.model_logged import (
    LoggedModelInfo,
    LoggedModelStatus,
    MetricDataset,
    MetricWish,
    OrderWish,
)
from runstone_tracking.service_logged import LOGGED_MODELS, LoggedModelService
from runstone_tracking.service_names import RandomNames
from runstone_tracking.service_repeats import Repeats
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.store import Session
from support.search_oracle import Row, matches, ordered
from support.tracking import add_experiment, add_run

NUMBERS = (0.0, -1.5, 0.5, 1e300, math.inf, -math.inf, math.nan)
DATASETS = (("", ""), ("test", "1"), ("test", "2"), ("train", "1"))


@dataclass(frozen=True)
class ModelRow(Row):
    """A model as filters and orders see it: any point satisfies a comparison, the latest sorts."""

    points: tuple[ModelMetric, ...] = ()
    looked_at: tuple[MetricDataset, ...] = ()

    def held(self, entity: str, key: str) -> list[str | int | float | None]:
        if entity != "metric":
            return super().held(entity, key)
        return [
            each.value
            for each in self.points
            if each.key == key and on(each, self.looked_at or (None,))
        ]


@dataclass(frozen=True)
class SortRow(ModelRow):
    """The same when it is sorted: a metric is one value."""

    def held(self, entity: str, key: str) -> list[str | int | float | None]:
        if entity != "metric":
            return super().held(entity, key)
        name, _, dataset = key.partition("|")
        wanted, _, digest = dataset.partition("/")
        wish = (MetricDataset(wanted, digest),) if wanted else (None,)
        found = [each for each in self.points if each.key == name and on(each, wish)]
        if not found:
            return []
        latest = max(found, key=lambda each: (each.timestamp_ms, each.step))
        return [latest.value]


def on(point: ModelMetric, datasets: tuple[MetricDataset | None, ...]) -> bool:
    """Whether a point was measured on one of the data sets; None is any."""
    return any(
        each is None
        or (point.dataset_name == each.name and each.digest in ("", point.dataset_digest))
        for each in datasets
    )


class Data:
    """Random models."""

    def __init__(self, transactions: SqlTransactions) -> None:
        self.random = random.Random(11)
        self._times = count(1)
        self.rows: list[ModelRow] = []
        transactions.write(self._fill)

    def _fill(self, session: Session) -> None:
        run = add_run(session)
        for number in range(40):
            self.rows.append(self._add(session, run, number))

    def _add(self, session: Session, run: str, number: int) -> ModelRow:
        choose = self.random.choice
        model = f"m-{self.random.randrange(16**32):032x}"
        info = LoggedModelInfo(
            model_id=model,
            experiment_id="0",
            name=choose(("one", "One", "ünï")),
            status=choose(list(LoggedModelStatus)),
            stage=Stage.ACTIVE,
            model_type=choose(("", "tree", "net")),
            source_run_id=choose(("", run)),
            creator="ann",
            create_time=choose((5, 6, number)),
            update_time=0,
        )
        info = replace(info, update_time=info.create_time)
        session.logged.create(info)
        params = {key: choose(("1", "2", "a")) for key in "pq" if self.random.random() < 0.6}
        tags = {key: choose(("1", "2", "a")) for key in "tu" if self.random.random() < 0.6}
        session.logged.add_params(model, params)
        session.logged.set_tags(model, tags)
        # Times of their own: which of two is the latest must not hang on the run's id.
        points = [
            ModelMetric(model, choose(("loss", "a b")), choose(NUMBERS), 0, next(self._times), *of)
            for of in self.random.choices(DATASETS, k=choose((0, 1, 2, 5)))
        ]
        self.random.shuffle(points)
        if points:
            session.logged.add_metrics(run, points)
        return ModelRow(
            id=model,
            attributes={
                "model_id": model,
                "name": info.name,
                "model_type": info.model_type or None,
                "source_run_id": info.source_run_id or None,
                "status": info.status.value,
                "creation_timestamp": info.create_time,
                "last_updated_timestamp": info.update_time,
            },
            params=params,
            tags=tags,
            points=tuple(points),
        )

    def comparison(self) -> str:
        """A random comparison, as text."""
        choose = self.random.choice
        order = choose(("=", "!=", "<", "<=", ">", ">="))
        text = choose(("=", "!=", "LIKE", "ILIKE"))
        return choose(
            (
                f"metrics.loss {order} {choose(('0', '0.5', '-1.5', '1e999'))}",
                f"metrics.`a b` {order} 0",
                f"params.{choose('pq')} {text} '{choose(('1', 'a', '%'))}'",
                f"tags.{choose('tu')} {text} '{choose(('1', 'A', '_'))}'",
                f"tags.t IS {choose(('', 'NOT '))}NULL",
                f"name {text} '{choose(('one', 'ONE', 'o%'))}'",
                f"model_type {text} '{choose(('tree', 'n%'))}'",
                f"model_type {choose(('', 'NOT '))}IN ('tree', 'x')",
                f"source_run_id IS {choose(('', 'NOT '))}NULL",
                f"status {choose(('=', '!='))} 'READY'",
                f"creation_time {order} 6",
                f"last_updated_timestamp {order} 20",
            )
        )

    def filter(self, depth: int = 2) -> str:
        """A random filter."""
        shape = self.random.random()
        if depth == 0 or shape < 0.5:
            return self.comparison()
        if shape < 0.65:
            return f"NOT ({self.filter(depth - 1)})"
        word = self.random.choice(("AND", "OR"))
        return f"({self.filter(depth - 1)}) {word} ({self.filter(depth - 1)})"

    def order(self) -> list[OrderWish]:
        """A random order."""
        names = ("metrics.loss", "metrics.a b", "params.p", "tags.t", "name", "model_type")
        wishes = []
        for name in self.random.sample((*names, "status", "creation_timestamp", "model_id"), 2):
            dataset = None
            if name.startswith("metrics") and self.random.random() < 0.6:
                dataset = self.random.choice((MetricDataset("test"), MetricDataset("test", "2")))
            wishes.append(OrderWish(name, self.random.random() < 0.5, dataset))
        return wishes[: self.random.choice((0, 1, 2))]

    def wanted(
        self, text: str, datasets: tuple[MetricDataset, ...], wishes: list[OrderWish]
    ) -> list[str]:
        """The ids that a search must give."""
        tree = parse(text, LOGGED_MODELS)
        found = [replace(row, looked_at=datasets) for row in self.rows]
        found = [row for row in found if matches(tree, row)]
        if datasets and "metrics." not in text:
            found = [row for row in found if any(on(each, datasets) for each in row.points)]
        order = [_order(wish) for wish in wishes]
        for tie in (
            OrderBy("attribute", "creation_timestamp", False),
            OrderBy("attribute", "model_id", True),
        ):
            if all(each.key != tie.key for each in order):
                order.append(tie)
        rows: list[Row] = [
            SortRow(row.id, row.attributes, {}, row.params, row.tags, (), row.points)
            for row in found
        ]
        return [row.id for row in ordered(rows, order)]


def _order(wish: OrderWish) -> OrderBy:
    entity, dot, key = wish.field_name.rpartition(".")
    if wish.dataset is not None:
        key += f"|{wish.dataset.name}/{wish.dataset.digest}"
    return OrderBy(entity.rstrip("s") if dot else "attribute", key, wish.ascending)


@pytest.fixture
def data(transactions: SqlTransactions) -> Data:
    return Data(transactions)


@pytest.fixture
def models(transactions: SqlTransactions) -> LoggedModelService:
    clock = SystemClock()
    return LoggedModelService(
        transactions, clock, SystemIds(), RandomNames(), Repeats(transactions, clock)
    )


def pages(
    models: LoggedModelService, request: SearchRequest, wish: MetricWish
) -> Iterator[list[str]]:
    """The ids of every page."""
    while True:
        page = models.search(request, wish)
        yield [each.info.model_id for each in page.items]
        if not page.next_page_token:
            return
        request = replace(request, page_token=page.next_page_token)


def test_random_filters_and_orders(data: Data, models: LoggedModelService) -> None:
    hits = 0
    for _ in range(120):
        text, wishes = data.filter(), data.order()
        datasets = data.random.choice(
            ((), (), (MetricDataset("test"),), (MetricDataset("test", "1"), MetricDataset("train")))
        )
        wanted = data.wanted(text, datasets, wishes)
        request = SearchRequest(filter=text, page_size=1000, experiment_ids=("0",))
        page = models.search(request, MetricWish(datasets, tuple(wishes)))
        assert [each.info.model_id for each in page.items] == wanted, (text, datasets, wishes)
        hits += 0 < len(wanted) < len(data.rows)
    assert hits > 60


def test_random_pages(data: Data, models: LoggedModelService) -> None:
    for _ in range(10):
        wishes = data.order()
        request = SearchRequest(page_size=7, experiment_ids=("0", "x", "99"))
        found = list(pages(models, request, MetricWish(order_by=tuple(wishes))))
        assert [each for page in found for each in page] == data.wanted("", (), wishes), wishes
        assert all(len(page) == 7 for page in found[:-1])


def test_a_token_belongs_to_its_data_sets_and_order(data: Data, models: LoggedModelService) -> None:
    request = SearchRequest(page_size=2, experiment_ids=("0",))
    wish = MetricWish((MetricDataset("test"),), (OrderWish("metrics.loss"),))
    token = models.search(request, wish).next_page_token
    assert token
    other_order = replace(wish, order_by=(OrderWish("metrics.loss", False),))
    for other in (MetricWish(), replace(wish, datasets=()), other_order):
        with pytest.raises(InvalidArgument) as caught:
            models.search(replace(request, page_token=token), other)
        assert caught.value.reason == "PAGE_TOKEN_OTHER_QUERY"


def test_views_and_experiments(
    transactions: SqlTransactions, models: LoggedModelService, data: Data
) -> None:
    number = transactions.write(add_experiment).experiment_id
    gone = data.rows[0].id
    models.delete(gone)

    def found(view: View, experiment: str) -> set[str]:
        request = SearchRequest(view=view, page_size=1000, experiment_ids=(experiment,))
        return {each.info.model_id for each in models.search(request, MetricWish()).items}

    assert found(View.ACTIVE_ONLY, "0") == {row.id for row in data.rows} - {gone}
    assert found(View.DELETED_ONLY, "0") == {gone}
    assert found(View.ALL, "0") == {row.id for row in data.rows}
    assert found(View.ALL, number) == set()


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (OrderWish("nope"), "order_by[1]"),
        (OrderWish("metric.s.x y` z"), "order_by[1]"),
        (OrderWish("datasets.name"), "order_by[1]"),
        (OrderWish("metrics."), "order_by[1]"),
        (OrderWish("name DESC"), "order_by[1]"),
        (OrderWish("params.x", dataset=MetricDataset("test")), "order_by[1].dataset"),
    ],
)
def test_an_order_that_cannot_be_read_is_named(
    models: LoggedModelService, wish: OrderWish, field: str
) -> None:
    request = SearchRequest(experiment_ids=("0",))
    with pytest.raises(InvalidArgument) as caught:
        models.search(request, MetricWish(order_by=(OrderWish("name"), wish)))
    assert [each.field for each in caught.value.violations] == [field]
