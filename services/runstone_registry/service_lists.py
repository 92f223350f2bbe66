"""Use cases that list and search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from runstone_kit.errors import InvalidArgument, Violation
from runstone_kit.filterlang import (
    TAGS,
    And,
    Comparison,
    Expression,
    Not,
    Operator,
    Or,
    OrderBy,
    Vocabulary,
    attributes,
    enumeration,
    number,
    parse,
    parse_order_by,
    string,
)
from runstone_kit.paging import (
    KeyValue,
    Page,
    decode_token,
    encode_token,
    query_hash,
    resolve_page_size,
)
from runstone_registry.model import (
    AuditEvent,
    Comment,
    ModelVersion,
    RegisteredModel,
    Stage,
    TransitionRequest,
)
from runstone_registry.model_commands import Listing, Search
from runstone_registry.service_base import UseCases, find_head, find_version
from runstone_registry.store import Found, ListQuery, ReadSession, SearchQuery

T = TypeVar("T")

PAGE_BYTES = 4 * 2**20
"""What gRPC clients accept in one message unless told otherwise."""

MAX_PATTERN = 10_000
"""Characters of a LIKE pattern: SQLite refuses one of 50,000 bytes."""

_TIMES = ("creation_timestamp", "last_updated_timestamp")

MODELS = Vocabulary(attributes({"name": string(Operator.IN)}), TAGS)

MODEL_ORDER = Vocabulary(
    attributes(
        {"name": string(), **dict.fromkeys(_TIMES, number())},
        {"timestamp": "last_updated_timestamp"},
    )
)

VERSIONS = Vocabulary(
    attributes(
        {
            "name": string(Operator.IN),
            "version_number": number(Operator.IN),
            "run_id": string(Operator.IN, Operator.IS_NULL),
            "source_path": string(Operator.IS_NULL),
            "stage": enumeration((stage.value for stage in Stage), Operator.IN),
        }
    ),
    TAGS,
)

VERSION_ORDER = Vocabulary(
    attributes({"name": string(), "version_number": number(), **dict.fromkeys(_TIMES, number())})
)

_MODEL_TIE = (OrderBy("attribute", "name"),)
_VERSION_TIE = (
    OrderBy("attribute", "name"),
    OrderBy("attribute", "version_number", ascending=False),
)
_VERSION_DEFAULT = (OrderBy("attribute", "last_updated_timestamp", ascending=False),)


class ListUseCases(UseCases):
    """Searches and lists, by keyset pages."""

    def search_registered_models(self, search: Search) -> Page[RegisteredModel]:
        """Models that match a filter.

        Raises InvalidArgument: FILTER_INVALID, PAGE_TOKEN_INVALID, PAGE_TOKEN_OTHER_QUERY.
        """
        asked = _Asked(search, "models", MODELS, MODEL_ORDER, (), _MODEL_TIE)
        query = asked.query(resolve_page_size(search.page_size, default=100, maximum=1000))
        found = self._store.read(lambda tx: tx.search_models(query))
        return asked.page(found, _model_key)

    def search_model_versions(self, search: Search) -> Page[ModelVersion]:
        """Versions that match a filter; raises as the search over models."""
        asked = _Asked(search, "versions", VERSIONS, VERSION_ORDER, _VERSION_DEFAULT, _VERSION_TIE)
        query = asked.query(resolve_page_size(search.page_size, default=1000, maximum=10_000))
        found = self._store.read(lambda tx: tx.search_versions(query))
        return asked.page(found, _version_key)

    def list_transition_requests(self, listing: Listing) -> Page[TransitionRequest]:
        """Transition requests, newest first."""
        state = listing.state.value if listing.state else ""
        hashed = query_hash("requests", listing.name, listing.version, state)
        query = _listed(
            listing, hashed, name=listing.name, version=listing.version, state=listing.state
        )
        found = self._store.read(lambda tx: tx.transition_requests(query))
        return _page(found, hashed, lambda each: [each.sequence])

    def list_comments(self, listing: Listing) -> Page[Comment]:
        """Comments of a version, oldest first. Raises ModelNotFound, VersionNotFound."""
        hashed = query_hash("comments", listing.name, listing.version)
        query = _listed(listing, hashed)

        def work(tx: ReadSession) -> Found[Comment]:
            version = find_version(tx, find_head(tx, listing.name), listing.version)
            return tx.comments(
                ListQuery(
                    limit=query.limit,
                    budget=query.budget,
                    after=query.after,
                    model_version_id=version.model_version_id,
                )
            )

        return _page(self._store.read(work), hashed, lambda each: [each.sequence])

    def list_audit_events(self, listing: Listing) -> Page[AuditEvent]:
        """Changes, newest first.

        With a name: those of the model that bears it now, under whatever name it bore then, and
        those recorded under it of models that are renamed or deleted.
        """
        hashed = query_hash("audit", listing.name, listing.version)

        def work(tx: ReadSession) -> Found[AuditEvent]:
            head = tx.head(listing.name) if listing.name else None
            return tx.audit_events(
                _listed(
                    listing,
                    hashed,
                    name=listing.name,
                    model_id="" if head is None else head.model_id,
                    version=listing.version,
                )
            )

        return _page(self._store.read(work), hashed, lambda each: [each.event_id])


class _Asked:
    """A search as it was read: filter, complete order, and what its tokens look like."""

    def __init__(
        self,
        search: Search,
        what: str,
        filters: Vocabulary,
        orders: Vocabulary,
        default: tuple[OrderBy, ...],
        tie: tuple[OrderBy, ...],
    ) -> None:
        self._filter = parse(search.filter, filters)
        _check_patterns(self._filter)
        order = parse_order_by(search.order_by, orders) or default
        keys = {each.key for each in order}
        self._order = order + tuple(each for each in tie if each.key not in keys)
        self._token = search.page_token
        self._hash = query_hash(what, search.filter, list(search.order_by))

    def query(self, limit: int) -> SearchQuery:
        types = [(str,) if each.key == "name" else (int,) for each in self._order]
        after = decode_token(self._token, self._hash, types)
        return SearchQuery(self._filter, self._order, limit, PAGE_BYTES, after)

    def page(self, found: Found[T], key: Callable[[T, str], KeyValue]) -> Page[T]:
        return _page(found, self._hash, lambda item: [key(item, each.key) for each in self._order])


def _page(found: Found[T], hashed: str, key: Callable[[T], Sequence[KeyValue]]) -> Page[T]:
    if not found.more or not found.items:
        return Page(found.items)
    return Page(found.items, encode_token(hashed, key(found.items[-1])))


def _listed(listing: Listing, hashed: str, **conditions: object) -> ListQuery:
    token = decode_token(listing.page_token, hashed, [(int,)])
    after = None if token is None else token[0]
    assert after is None or isinstance(after, int)
    limit = resolve_page_size(listing.page_size, default=100, maximum=1000)
    return ListQuery(limit=limit, budget=PAGE_BYTES, after=after, **conditions)  # type: ignore[arg-type]


def _model_key(model: RegisteredModel, key: str) -> KeyValue:
    if key == "name":
        return model.name
    return model.created_ms if key == "creation_timestamp" else model.updated_ms


def _version_key(version: ModelVersion, key: str) -> KeyValue:
    match key:
        case "name":
            return version.name
        case "version_number":
            return version.version
        case "creation_timestamp":
            return version.created_ms
        case _:
            return version.updated_ms


def _check_patterns(tree: Expression | None) -> None:
    match tree:
        case And(terms) | Or(terms):
            for term in terms:
                _check_patterns(term)
        case Not(term):
            _check_patterns(term)
        case Comparison(_, _, Operator.LIKE | Operator.ILIKE, str(pattern), position):
            if len(pattern) > MAX_PATTERN:
                description = (
                    f"at column {position}: a pattern must have at most {MAX_PATTERN} characters"
                )
                raise InvalidArgument(
                    f"filter is wrong {description}",
                    reason="FILTER_INVALID",
                    violations=[Violation("filter", description)],
                )
        case _:
            pass
