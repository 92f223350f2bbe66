"""Use cases of logged models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstone_kit import context
from runstone_kit.clock import Clock
from runstone_kit.errors import Violations
from runstone_kit.filterlang import (
    METRICS,
    PARAMS,
    TAGS,
    Operator,
    OrderBy,
    Vocabulary,
    attributes,
    enumeration,
    number,
    parse_order_by,
    string,
)
from runstone_kit.ids import IdMaker
from runstone_kit.paging import Page, resolve_page_size
from runstone_tracking.errors import LoggedModelNotFound, LoggedModelTooLarge
from runstone_tracking.model import Purged, SearchRequest, Stage
from runstone_tracking.model_logged import (
    LoggedModel,
    LoggedModelInfo,
    LoggedModelRequest,
    LoggedModelStatus,
    MetricWish,
    OrderWish,
)
from runstone_tracking.service_experiments import PURGED_AT_ONCE
from runstone_tracking.service_names import NameMaker
from runstone_tracking.service_repeats import Repeats, earlier
from runstone_tracking.service_search import LOADED_AT_ONCE, Plan, size_of_map, size_of_text
from runstone_tracking.store import Session, Transactions
from runstone_tracking.store_logged import DatasetOrder, FoundLoggedModel
from runstone_tracking.store_query import Query

ID_PREFIX = "m-"
"""As MLflow's; tells a logged model from a run and from a model's name in a URI."""

MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Params and tags of one model: with its metrics it must fit into one message."""

MAX_METRICS = 10_000
"""Metrics of one model, by key, data set and run: each takes up to 2 KiB in its message."""

PAGE, MAX_PAGE = 100, 1000
"""As the contract says; 100 as MLflow."""

METRIC_BYTES = 128
"""At most, of a metric's message without its texts."""

_NULLABLE = frozenset({"model_type", "source_run_id"})

LOGGED_MODELS = Vocabulary(
    attributes(
        {
            "model_id": string(Operator.IN),
            "name": string(Operator.IN),
            "experiment_id": string(Operator.IN),
            "model_type": string(Operator.IN, Operator.IS_NULL),
            "source_run_id": string(Operator.IN, Operator.IS_NULL),
            "status": enumeration([status.value for status in LoggedModelStatus], Operator.IN),
            "creation_timestamp": number(),
            "last_updated_timestamp": number(),
        },
        {
            "creation_time": "creation_timestamp",
            "creation_timestamp_ms": "creation_timestamp",
            "last_updated_timestamp_ms": "last_updated_timestamp",
        },
    ),
    METRICS,
    PARAMS,
    TAGS,
)


class LoggedModelService:
    """Logged models: each method is one RPC and one transaction."""

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock,
        ids: IdMaker,
        names: NameMaker,
        repeats: Repeats,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._ids = ids
        self._names = names
        self._repeats = repeats

    def create(self, request: LoggedModelRequest) -> LoggedModel:
        """Create a pending model, or return what the same request created before, as it is now.

        Raises ExperimentNotFound, ExperimentDeleted, RequestIdReused, LoggedModelTooLarge.
        """
        content = (
            *(request.experiment_id, request.name, request.model_type, request.source_run_id),
            *(sorted(request.params.items()), sorted(request.tags.items())),
        )
        repeatable = self._repeats.request("CreateLoggedModel", request.request_id, content)
        now = self._clock.now_ms()
        new = LoggedModelInfo(
            model_id=ID_PREFIX + self._ids.hex_id(),
            experiment_id=request.experiment_id,
            name=request.name or self._names.run_name(),
            status=LoggedModelStatus.PENDING,
            stage=Stage.ACTIVE,
            model_type=request.model_type,
            source_run_id=request.source_run_id,
            creator=context.current().actor,
            create_time=now,
            update_time=now,
        )

        def work(session: Session) -> LoggedModel:
            before = earlier(session, repeatable, new.model_id)
            if before is not None and repeatable is not None:
                try:
                    return session.logged.get(before)
                except LoggedModelNotFound:
                    # Purged since then, so it is made again.
                    session.requests.assign(repeatable, new.model_id)
            session.logged.create(new)
            session.logged.add_params(new.model_id, request.params)
            session.logged.set_tags(new.model_id, request.tags)
            _check_size(session, new.model_id)
            return LoggedModel(new, request.params, request.tags)

        return self._transactions.write(work)

    def get(self, model_id: str) -> LoggedModel:
        """Raises LoggedModelNotFound."""
        return self._transactions.read(lambda session: session.logged.get(model_id))

    def finalize(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """Raises LoggedModelNotFound, LoggedModelDeleted."""
        now = self._clock.now_ms()

        def work(session: Session) -> LoggedModel:
            info = session.logged.finalize(model_id, status, now)
            return session.logged.load([info])[0]

        return self._transactions.write(work)

    def delete(self, model_id: str) -> None:
        """Raises LoggedModelNotFound."""
        now = self._clock.now_ms()
        self._transactions.write(lambda session: session.logged.delete(model_id, now))

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Raises LoggedModelNotFound, LoggedModelDeleted, LoggedModelTooLarge."""

        def work(session: Session) -> None:
            session.logged.lock_active(model_id)
            session.logged.set_tags(model_id, tags)
            _check_size(session, model_id)

        self._transactions.write(work)

    def delete_tags(self, model_id: str, keys: Sequence[str]) -> None:
        """Raises LoggedModelNotFound, LoggedModelDeleted, TagNotFound."""

        def work(session: Session) -> None:
            session.logged.lock_active(model_id)
            session.logged.delete_tags(model_id, keys)

        self._transactions.write(work)

    def add_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Raises LoggedModelNotFound, LoggedModelDeleted, ParamImmutable, LoggedModelTooLarge."""

        def work(session: Session) -> None:
            session.logged.lock_active(model_id)
            session.logged.add_params(model_id, params)
            _check_size(session, model_id)

        self._transactions.write(work)

    def search(self, request: SearchRequest, wish: MetricWish) -> Page[LoggedModel]:
        """One page of the models that match, with all they hold.

        Raises InvalidArgument: FILTER_INVALID, PAGE_TOKEN_INVALID, PAGE_TOKEN_OTHER_QUERY.
        """
        ties = (
            OrderBy("attribute", "creation_timestamp", False),
            OrderBy("attribute", "model_id", True),
        )
        extra = (repr(wish.datasets), repr(wish.order_by))
        plan = Plan(
            request,
            LOGGED_MODELS,
            ties,
            "SearchLoggedModels",
            order=_order(wish.order_by),
            extra=extra,
            nullable=_NULLABLE,
        )
        size = resolve_page_size(request.page_size, default=PAGE, maximum=MAX_PAGE)

        def work(session: Session) -> Page[LoggedModel]:
            def find(query: Query) -> list[FoundLoggedModel]:
                return session.logged.search(query, wish.datasets)

            def load(found: Sequence[FoundLoggedModel]) -> list[LoggedModel]:
                return session.logged.load([each.info for each in found])

            return plan.page(size, LOADED_AT_ONCE, find, load, size_of_model)

        return self._transactions.read(work, bounded=True)

    def purge(
        self, model_ids: Sequence[str], deleted_before: int | None, *, dry_run: bool
    ) -> Purged:
        """Remove deleted models, those named or any; ``dry_run`` only names them.

        Raises LoggedModelNotFound, LoggedModelNotDeleted: nothing was removed then.
        """
        named = sorted(set(model_ids)) or None

        def work(session: Session) -> Purged:
            return session.logged.purge(named, deleted_before, PURGED_AT_ONCE, dry_run=dry_run)

        return self._transactions.read(work) if dry_run else self._transactions.write(work)


def size_of_model(model: LoggedModel) -> int:
    """About how many bytes the model's message has, never much less."""
    info = model.info
    size = (
        192 + size_of_text(info.name) + size_of_text(info.model_type) + size_of_text(info.creator)
    )
    size += size_of_text(info.source_run_id) + size_of_map(model.params) + size_of_map(model.tags)
    texts = [each.key + each.dataset_name + each.dataset_digest for each in model.metrics]
    return size + METRIC_BYTES * len(texts) + size_of_text("".join(texts))


def check_metrics(counts: Mapping[str, int]) -> None:
    """Raise LoggedModelTooLarge when a model has more metrics than it can be read with."""
    for model_id, count in counts.items():
        if count > MAX_METRICS:
            raise LoggedModelTooLarge(model_id, "metrics", count, MAX_METRICS)


def _check_size(session: Session, model_id: str) -> None:
    size = session.logged.text_bytes(model_id)
    if size > MAX_TEXT_BYTES:
        raise LoggedModelTooLarge(model_id, "bytes of params and tags", size, MAX_TEXT_BYTES)


def _order(wishes: Sequence[OrderWish]) -> list[OrderBy]:
    """The keys to sort by, each once. Raises InvalidArgument naming ``order_by[2]``."""
    texts = [_text(wish) for wish in wishes]
    # All at once first, so that an error names the right one.
    parse_order_by(texts, LOGGED_MODELS)
    violations = Violations()
    found: dict[tuple[object, ...], OrderBy] = {}
    for place, (wish, text) in enumerate(zip(wishes, texts, strict=True)):
        (order,) = parse_order_by([text], LOGGED_MODELS)
        if order.entity == "metric":
            order = DatasetOrder(order.entity, order.key, order.ascending, wish.dataset)
        elif wish.dataset is not None:
            violations.add(f"order_by[{place}].dataset", "may be given for a metric only")
        found.setdefault((order.entity, order.key, wish.dataset), order)
    violations.raise_if_any()
    return list(found.values())


def _text(wish: OrderWish) -> str:
    """As parse_order_by reads it: behind the first dot is the key, whatever is in it."""
    entity, dot, key = wish.field_name.partition(".")
    quoted = not dot or not key or "`" in key or key.startswith('"')
    field = wish.field_name if quoted else f"{entity}.`{key}`"
    return f"{field} {'ASC' if wish.ascending else 'DESC'}"
