"""The rooms contract refuses each kind of import that it exists to refuse."""

import tomllib

import grimp
import pytest
from importlinter import ContractCheck

from support.binaries import REPOSITORY
from support.import_rules import RoomsContract, parse_arrow, room_of

SERVICE = "runstone_tracking"


def contract() -> RoomsContract:
    """The contract as the repository configures it."""
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    (options,) = (c for c in content["tool"]["importlinter"]["contracts"] if c["id"] == "rooms")
    options = {**options, "packages": [SERVICE]}
    return RoomsContract(options["name"], {}, options)


def checked(importer: str, imported: str) -> ContractCheck:
    """The verdict on a service with a single import."""
    graph = grimp.ImportGraph()
    graph.add_module(SERVICE)
    graph.add_module(importer)
    if not graph.modules >= {imported}:
        graph.add_module(imported)
    graph.add_import(importer=importer, imported=imported)
    return contract().check(graph, verbose=False)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("servicer", "runstone_tracking.convert"),
        ("servicer_runs", "runstone_tracking.service_runs"),
        ("convert_metrics", "runstone.tracking.v1.metric_pb2"),
        ("service", "runstone_tracking.store"),
        ("sqlstore_runs", "runstone_tracking.tables"),
        ("sqlstore_runs", "runstone_tracking.sqlstore_metrics"),
        ("tables", "sqlalchemy"),
        ("webhookclient", "ssl"),
        ("errors", "runstone_kit.errors"),
        ("main", "runstone_tracking.sqlstore"),
    ],
)
def test_an_arrow_is_kept(importer: str, imported: str) -> None:
    assert checked(f"{SERVICE}.{importer}", imported).kept


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("service", "runstone_tracking.sqlstore"),
        ("service_runs", "runstone_tracking.convert"),
        ("service", "sqlalchemy"),
        ("service", "grpc"),
        ("service", "runstone.tracking.v1.run_pb2"),
        ("store", "runstone_tracking.tables"),
        ("sqlstore_runs", "runstone_tracking.service"),
        ("sqlstore", "runstone.tracking.v1.run_pb2"),
        ("servicer", "runstone_tracking.sqlstore"),
        ("servicer", "sqlalchemy"),
        ("service", "http"),
        ("peers", "socket"),
        ("convert", "runstone_tracking.service"),
        ("model", "runstone_tracking.errors"),
        ("model", "runstone_kit.database"),
        ("errors", "runstone_kit.server"),
        ("tables", "minio"),
        ("utils", "runstone_tracking.model"),
    ],
)
def test_any_other_import_is_refused(importer: str, imported: str) -> None:
    check = checked(f"{SERVICE}.{importer}", imported)
    assert not check.kept
    assert f"{SERVICE}.{importer}" in check.metadata["faults"][0]


def test_a_file_belongs_to_the_longest_room_that_fits() -> None:
    rooms = ["service", "servicer", "store", "sqlstore"]
    assert room_of("runstone_tracking.servicer_runs", rooms) == "servicer"
    assert room_of("runstone_tracking.service", rooms) == "service"
    assert room_of("runstone_tracking.sqlstore_runs.rows", rooms) == "sqlstore"
    assert room_of("runstone_tracking.storefront", rooms) is None
    assert room_of("runstone_tracking", rooms) is None


def test_an_arrow_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="an arrow is"):
        parse_arrow("service store")
