"""The table, and how a path finds its line."""

import inspect

import pytest

from runstone_gateway.routing import Route, Routes, get, post
from runstone_gateway.table import TABLE


async def handler() -> None:
    """Stands in for any."""


def found(routes: Routes, path: str) -> tuple[list[str], dict[str, str]]:
    """The methods of a path and the parameters in it."""
    methods, parameters = routes.find(path)
    return sorted(methods), parameters


def test_a_route_stands_below_both_prefixes() -> None:
    routes = Routes([get("2.0/x", handler), post("2.0/x", handler)])
    assert found(routes, "/api/2.0/x") == (["GET", "POST"], {})
    assert found(routes, "/ajax-api/2.0/x") == (["GET", "POST"], {})


@pytest.mark.parametrize("path", ["/2.0/x", "/api/2.0/x/", "/api/2.0/X", "/api//2.0/x", "/", ""])
def test_what_is_no_route(path: str) -> None:
    assert found(Routes([get("2.0/x", handler)]), path) == ([], {})


def test_parameters_of_a_path() -> None:
    routes = Routes([get("2.0/m/{model_id}", handler), get("2.0/f/{path:path}", handler)])
    assert found(routes, "/api/2.0/m/m-1") == (["GET"], {"model_id": "m-1"})
    assert found(routes, "/api/2.0/m/a/b") == ([], {})
    assert found(routes, "/api/2.0/m/") == ([], {})
    assert found(routes, "/api/2.0/f/a/b\nc") == (["GET"], {"path": "a/b\nc"})


def test_a_plain_path_wins_over_a_parameter() -> None:
    routes = Routes([get("2.0/m/{model_id}", handler), post("2.0/m/search", handler)])
    assert found(routes, "/api/2.0/m/search") == (["POST"], {})


def test_two_lines_for_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Routes([get("2.0/x", handler), get("2.0/x", handler)])


@pytest.mark.parametrize("route", TABLE, ids=lambda each: f"{each.method} {each.path}")
def test_every_line_fits_its_handler(route: Route) -> None:
    """A parameter of the table is an argument of the handler, and one that is not required has a
    default there; parameters of the path are always given, also where a body repeats them."""
    signature = inspect.signature(route.handler)
    arguments = dict(list(signature.parameters.items())[1:])
    taken = {name for name, each in arguments.items() if each.kind is not each.VAR_KEYWORD}
    in_path = {part[1:-1].partition(":")[0] for part in route.path.split("/") if part[:1] == "{"}
    given = set(route.fields) | in_path
    if len(taken) == len(arguments):
        assert given <= taken
    assert taken <= given
    for name, field in route.fields.items():
        if name in in_path:
            assert not field.is_required
            continue
        has_default = (
            name not in arguments or arguments[name].default is not inspect.Parameter.empty
        )
        assert has_default is not field.is_required, name


def test_the_whole_table_has_no_two_lines_for_the_same() -> None:
    Routes(TABLE)
