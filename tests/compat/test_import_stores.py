"""`runstone import mlflow` from databases and folders that MLflow wrote, of two releases."""

from pathlib import Path

import pytest

from runstone import Client, cli
from support import dump_runstone, mlflow_peer
from support.environments import Environment
from support.mlflow_environments import FULL
from support.mlflow_peer import OLD_STORE
from support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(400)  # MLflow's own client takes most of it


def check(environment: Environment, store: str, source: str, target: Client, folder: Path) -> None:
    """Fill a store, import it twice, and compare."""
    mlflow_peer.fill(environment, store, folder)
    held = mlflow_peer.dump(environment, store, folder)
    for _ in range(2):
        assert cli.main(["import", "mlflow", source, "--tracking-uri", target.tracking_uri]) == 0
        assert dump_runstone.dump(target) == held


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(FULL, id="newest"),
        pytest.param(OLD_STORE, id="year old", marks=pytest.mark.whole),
    ],
)
def test_a_folder(environment: Environment, target: Client, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    check(environment, str(folder), str(folder), target, tmp_path)


@pytest.mark.whole
def test_a_folder_that_was_moved(target: Client, tmp_path: Path) -> None:
    before, after = tmp_path / "mlruns", tmp_path / "elsewhere"
    mlflow_peer.fill(OLD_STORE, str(before), tmp_path)
    held = mlflow_peer.dump(OLD_STORE, str(before), tmp_path)
    before.rename(after)
    assert cli.main(["import", "mlflow", str(after), "--tracking-uri", target.tracking_uri]) == 0
    assert dump_runstone.dump(target) == held


@pytest.mark.whole
def test_sqlite_of_a_year_ago(target: Client, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    check(OLD_STORE, store, store, target, tmp_path)


def test_postgresql(target: Client, tmp_path: Path, postgres: PostgresServer) -> None:
    with postgres.database() as url:
        store = url.replace("postgresql+psycopg://", "postgresql://", 1)
        driver = store.replace("postgresql://", "postgresql+psycopg2://", 1)
        check(FULL, driver, store, target, tmp_path)
