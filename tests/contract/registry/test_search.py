"""Searches over models and versions: filter, order, pages."""

import pytest
from sqlalchemy import text as sql

from runstone_kit.errors import InvalidArgument
from runstone_registry.model import Stage
from runstone_registry.model_commands import Search, Transition
from support.registry import RUN, Registry


def models(registry: Registry, text: str = "", *order: str, size: int = 0) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        search = Search(text, tuple(order), size, token)
        page = registry.service.search_registered_models(search)
        assert size == 0 or len(page.items) <= size
        found += [each.name for each in page.items]
        token = page.next_page_token
        if not token:
            return found


def versions(registry: Registry, text: str = "", *order: str, size: int = 0) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        search = Search(text, tuple(order), size, token)
        page = registry.service.search_model_versions(search)
        found += [f"{each.name}{each.version}" for each in page.items]
        token = page.next_page_token
        if not token:
            return found


@pytest.fixture
def catalog(registry: Registry) -> Registry:
    for name, tags in {
        "alpha": {"team": "Growth", "tier": "1"},
        "Beta": {"team": "growth"},
        "b[c]?*": {"tier": "2", "odd key": "50%_done"},
        "delta\\x": {},
        "Éclair": {"team": "Ω"},
    }.items():
        registry.clock.advance(1)
        registry.model(name, tags=tags)
    return registry


MODEL_FILTERS: list[tuple[str, list[str]]] = [
    ("", ["Beta", "alpha", "b[c]?*", "delta\\x", "Éclair"]),
    ("name = 'alpha'", ["alpha"]),
    ("name != 'alpha'", ["Beta", "b[c]?*", "delta\\x", "Éclair"]),
    ("name LIKE 'B%'", ["Beta"]),
    ("name ILIKE 'B%'", ["Beta", "b[c]?*"]),
    ("name LIKE '_[c]?*'", ["b[c]?*"]),
    ("name LIKE 'b%*'", ["b[c]?*"]),
    ("name LIKE '%?%'", ["b[c]?*"]),
    ("name LIKE 'delta\\x'", ["delta\\x"]),
    ("name ILIKE 'DELTA\\%'", ["delta\\x"]),
    ("name LIKE '_clair'", ["Éclair"]),
    ("name LIKE '%'", ["Beta", "alpha", "b[c]?*", "delta\\x", "Éclair"]),
    ("name IN ('alpha', 'Beta', 'x')", ["Beta", "alpha"]),
    ("name NOT IN ('alpha', 'Beta')", ["b[c]?*", "delta\\x", "Éclair"]),
    ("tags.team = 'growth'", ["Beta"]),
    ("tags.team != 'growth'", ["alpha", "Éclair"]),
    ("tags.team IN ('growth', 'x')", ["Beta"]),
    ("tags.team NOT IN ('growth', 'x')", ["alpha", "Éclair"]),
    ("NOT tags.team = 'growth'", ["alpha", "b[c]?*", "delta\\x", "Éclair"]),
    ("tags.team ILIKE 'GROWTH'", ["Beta", "alpha"]),
    ("tags.team IS NULL", ["b[c]?*", "delta\\x"]),
    ("tags.team IS NOT NULL AND NOT tags.tier IS NOT NULL", ["Beta", "Éclair"]),
    ("tags.`odd key` LIKE '50%_done'", ["b[c]?*"]),
    ("tag.tier = '1' OR (tag.tier = '2' AND name LIKE 'b%')", ["alpha", "b[c]?*"]),
    ("NOT (name = 'alpha' OR name = 'Beta')", ["b[c]?*", "delta\\x", "Éclair"]),
    ("name = 'nobody'", []),
]


def test_models_are_found(catalog: Registry) -> None:
    # One database for all: making one takes longer than the searches.
    wrong = {text: got for text, found in MODEL_FILTERS if (got := models(catalog, text)) != found}
    assert wrong == {}


def test_models_are_ordered_and_paged(catalog: Registry) -> None:
    names = ["Beta", "alpha", "b[c]?*", "delta\\x", "Éclair"]
    made = ["alpha", "Beta", "b[c]?*", "delta\\x", "Éclair"]
    catalog.clock.advance(1)
    catalog.service.update_registered_model("Beta", "x", "")
    for size in (1, 2, 3, 5, 0):
        assert models(catalog, "", size=size) == names
        assert models(catalog, "", "name DESC", size=size) == names[::-1]
        assert models(catalog, "", "creation_timestamp", size=size) == made
        assert models(catalog, "", "last_updated_timestamp DESC", "name", size=size)[0] == "Beta"


def test_pages_are_complete_when_keys_are_equal(registry: Registry) -> None:
    for index in range(7):
        registry.model(f"m{index}")
    found = models(registry, "", "creation_timestamp DESC", size=2)
    assert found == [f"m{index}" for index in range(7)]
    registry.clock.advance(1)
    registry.model("z")
    found = models(registry, "", "creation_timestamp DESC", "name DESC", size=3)
    assert found == ["z", *(f"m{index}" for index in reversed(range(7)))]


def test_a_token_belongs_to_its_query(catalog: Registry) -> None:
    search = catalog.service.search_registered_models
    token = search(Search(page_size=2)).next_page_token
    assert [each.name for each in search(Search(page_size=9, page_token=token)).items] == [
        "b[c]?*",
        "delta\\x",
        "Éclair",
    ]
    for other, reason in [
        (Search("name LIKE '%'", page_token=token), "PAGE_TOKEN_OTHER_QUERY"),
        (Search(order_by=("name DESC",), page_token=token), "PAGE_TOKEN_OTHER_QUERY"),
        (Search(page_token="nonsense"), "PAGE_TOKEN_INVALID"),
        (Search(page_token=token[:-3]), "PAGE_TOKEN_INVALID"),
    ]:
        with pytest.raises(InvalidArgument) as caught:
            search(other)
        assert caught.value.reason == reason
    with pytest.raises(InvalidArgument) as versions_token:
        catalog.service.search_model_versions(Search(page_token=token))
    assert versions_token.value.reason == "PAGE_TOKEN_OTHER_QUERY"


def test_sort_keys_at_and_past_their_limit(catalog: Registry) -> None:
    for search, key in (
        (catalog.service.search_registered_models, "name"),
        (catalog.service.search_model_versions, "version_number"),
    ):
        search(Search(order_by=(key,) * 16))
        with pytest.raises(InvalidArgument) as caught:
            search(Search(order_by=(key,) * 17))
        assert caught.value.reason == "INVALID_FIELD"
        assert [each.field for each in caught.value.violations] == ["order_by"]


SENSELESS = [
    "nme = 'x'",
    "name = 3",
    "name =",
    "creation_timestamp > 3",
    "metrics.a > 3",
    "(" * 10_000,
    "name LIKE '" + "%a" * 6_000 + "'",
    "name = 'a\0b'",
]


def test_a_filter_that_means_nothing_is_refused(registry: Registry) -> None:
    for text in SENSELESS:
        with pytest.raises(InvalidArgument) as caught:
            models(registry, text)
        assert caught.value.reason == "FILTER_INVALID", text[:50]
        assert caught.value.violations[0].field == "filter"


@pytest.fixture
def shelf(registry: Registry) -> Registry:
    for name in ("a", "b"):
        registry.model(name)
    registry.version("a", tags={"lang": "py"})
    registry.version("a", path="")
    registry.clock.advance(1)
    registry.version("b")
    registry.upload("b", origin="Elsewhere", files=1)
    registry.clock.advance(1)
    registry.service.transition_model_version_stage(Transition("a", 1, Stage.PRODUCTION))
    return registry


VERSION_FILTERS: list[tuple[str, list[str]]] = [
    ("", ["a1", "b2", "b1", "a2"]),
    ("name = 'b'", ["b2", "b1"]),
    ("version_number = 1", ["a1", "b1"]),
    ("version_number > 1.5", ["b2", "a2"]),
    ("version_number < 1.5", ["a1", "b1"]),
    ("version_number = 1.5", []),
    ("version_number IN (2, 9223372036854775807)", ["b2", "a2"]),
    ("version_number < 1e999", ["a1", "b2", "b1", "a2"]),
    ("version_number > -9223372036854775808", ["a1", "b2", "b1", "a2"]),
    (f"run_id = '{RUN}'", ["a1", "b1", "a2"]),
    (f"run_id != '{RUN}'", []),
    ("run_id != 'other'", ["a1", "b1", "a2"]),
    ("run_id IS NULL", ["b2"]),
    ("NOT run_id IS NULL", ["a1", "b1", "a2"]),
    (f"run_id IN ('{RUN}', 'x')", ["a1", "b1", "a2"]),
    (f"source_path LIKE 'runs:/{RUN}/%'", ["a1", "b1"]),
    ("source_path LIKE 'else%'", []),
    ("source_path ILIKE 'else%'", ["b2"]),
    ("stage = 'Production'", ["a1"]),
    ("stage != 'Production' AND name = 'a'", ["a2"]),
    ("stage IN ('None', 'Archived')", ["b2", "b1", "a2"]),
    ("tags.lang = 'py' OR stage = 'None' AND name = 'b'", ["a1", "b2", "b1"]),
    ("NOT (name = 'a' OR version_number = 2)", ["b1"]),
]


def test_versions_are_found(shelf: Registry) -> None:
    # One database for all: making one takes longer than the searches.
    wrong = {
        text: got for text, found in VERSION_FILTERS if (got := versions(shelf, text)) != found
    }
    assert wrong == {}


def test_versions_are_ordered_and_paged(shelf: Registry) -> None:
    for size in (1, 3, 0):
        assert versions(shelf, size=size) == ["a1", "b2", "b1", "a2"]
        assert versions(shelf, "", "name", "version_number", size=size) == ["a1", "a2", "b1", "b2"]
        assert versions(shelf, "", "version_number", size=size) == ["a1", "b1", "a2", "b2"]
        assert versions(shelf, "", "creation_timestamp DESC", "name DESC", size=size) == [
            "b2",
            "b1",
            "a2",
            "a1",
        ]
    with pytest.raises(InvalidArgument) as caught:
        versions(shelf, "stage = 'Testing'")
    assert caught.value.reason == "FILTER_INVALID"


def test_a_page_of_versions_ends_early_at_four_mebibytes(registry: Registry) -> None:
    registry.model()
    for _ in range(10):
        registry.version(description="d" * 100_000, tags={f"k{i}": "x" * 90_000 for i in range(10)})
    first = registry.service.search_model_versions(Search())
    assert len(first.items) == 4
    assert versions(registry) == [f"churn{number}" for number in range(10, 0, -1)]
    registry.model("big", tags={f"k{i}": "x" * 90_000 for i in range(45)})
    assert models(registry) == ["big", "churn"]


def test_two_hundred_comparisons_are_planned(registry: Registry) -> None:
    """PostgreSQL took ten seconds to plan half as many, and memory without end for more."""
    registry.model("found", tags={f"k{n}": "v" for n in range(100)})
    registry.model("other", tags={f"k{n}": "v" for n in range(99)})
    if registry.database.dialect == "postgresql":
        with registry.database.write() as connection:
            name = connection.execute(sql("SELECT current_database()")).scalar_one()
            connection.execute(sql(f"ALTER DATABASE {name} SET statement_timeout = '10s'"))
        registry.database.dispose()
    terms = [f"tags.k{n % 100} {'=' if n < 100 else 'LIKE'} 'v'" for n in range(200)]
    assert models(registry, " AND ".join(terms)) == ["found"]
    assert models(registry, " OR ".join(terms[:99])) == ["found", "other"]
