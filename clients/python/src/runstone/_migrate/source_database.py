"""The database of a tracking server as a source: its tables, read with SQLAlchemy.

Nothing is written to it, not even a newer schema.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._entities.tracking import Dataset, DatasetInput, InputTag
from runstone._migrate.model import (
    PIECE_POINTS,
    FilesOutOfReach,
    Points,
    SourceExperiment,
    SourceModel,
    SourceRun,
    SourceUnreadable,
    SourceVersion,
    Tree,
    newest,
)
from runstone._migrate.trees import Places, SubTree
from runstone._modeluri import ModelUri, RunUri, parse_artifact_uri
from runstone.exceptions import InvalidUri

if TYPE_CHECKING:
    import sqlalchemy as sa

SUPPORTED = "MLflow 2.0 to 3.17"

# fmt: off
REVISIONS = frozenset({
    "97727af70f4d", "3500859a5d39", "7f2a7d5fae7d", "2d6e25af4d3e", "acf3f17fdcc7",
    "867495a8f9d4", "5b0e9adcef9c", "4465047574b1", "f5a4f2784254", "0584bdc529eb",
    "400f98739977", "6953534de441", "bda7b8c39065", "cbc13b556ace", "770bee3ae1dd",
    "a1b2c3d4e5f6", "de4033877273", "1a0cddfcaa16", "534353b11cbc", "71994744cf8e",
    "3da73c924c2f", "bf29a5ff90ea", "1bd49d398cd23", "b7c8d9e0f1a2", "5d2d30f0abce",
    "c9d4e5f6a7b8", "2c33131f4dae", "d3e4f5a6b7c8", "d0e1f2a3b4c5", "c8d9e0f1a2b3",
    "1b5f0d9ad7c1", "e1f2a3b4c5d6", "76601a5f987d", "c3d6457b6d8a", "a5b4c3d2e1f0",
    "ae8bbe7743c9", "7d34483879f0", "da6fb0208061", "89d3d66ed43f", "b7e4c1a90f23",
    "a8b9c0d1e2f3", "c1d2e3f4a5b6", "c3d9e7f1a2b4", "6f8d9c3b2a1e", "1971f2d9a75b",
    "17e22815139b", "b7e2c1a4d9f3", "75868b020152", "dc11669786a5",
})
# fmt: on
"""Schemas that the statements below were written for, as alembic_version names them."""

VERSION = re.compile(r"[0-9]{1,9}")
"""A version's number in a URI; a longer one is no integer of a database."""

PAGE_RUNS = 500
CONNECTIONS = 16
"""As many threads copy at once, at most."""

DELETED_STAGE = "Deleted_Internal"
"""MLflow keeps a row of a version that was deleted, so that its number is not used again."""

OWN_WORKSPACE = "default"


class DatabaseSource:
    """See Source.

    Args:
        url: postgresql://, sqlite:///, mysql://, as for `mlflow server --backend-store-uri`.
        artifacts: Where files of the scheme mlflow-artifacts are.
    """

    def __init__(self, url: str, artifacts: str | None = None) -> None:
        self._engine = _engine(url)
        place = self._engine.url
        host = f"{place.host}/" if place.host else ""
        database = str(place.database).removeprefix("file:")
        self.where = f"{place.get_backend_name()}://{host}{database}"
        self._places = Places(artifacts)
        self._check_schema()

    def _check_schema(self) -> None:
        import sqlalchemy as sa

        try:
            with self._engine.connect() as connection:
                found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
                revisions = {row[0] for row in found}
        except sa.exc.OperationalError as error:
            if "alembic_version" not in str(error.orig):
                raise SourceUnreadable(f"{self.where} cannot be read: {error.orig}") from None
            revisions = set()
        except sa.exc.SQLAlchemyError:
            revisions = set()
        if not revisions:
            raise SourceUnreadable(f"{self.where} is no database of MLflow: it names no schema")
        if unknown := revisions - REVISIONS:
            raise SourceUnreadable(
                f"{self.where} has the schema {', '.join(sorted(unknown))}; those of {SUPPORTED}"
                " are known. Of an older one make a copy and run `mlflow db upgrade` on it; of a"
                " newer one import from the tracking server's URL"
            )

    @cached_property
    def _tables(self) -> dict[str, sa.Table]:
        """Those that are read, with the columns that this schema has."""
        import sqlalchemy as sa

        there = set(sa.inspect(self._engine).get_table_names())
        known = sa.MetaData()
        known.reflect(self._engine, only=[name for name in _READ if name in there])
        return dict(known.tables)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        """A connection, in a transaction that is rolled back; what fails is told as ours."""
        import sqlalchemy as sa

        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            failure = SourceUnreadable(
                f"{self.where} cannot be read: {getattr(error, 'orig', None) or error}"
            )
            failure.away = isinstance(error, sa.exc.OperationalError | sa.exc.TimeoutError)
            raise failure from None

    def _rows(self, statement: Any) -> Sequence[Any]:
        with self._connected() as connection:
            return connection.execute(statement).mappings().all()

    def _tags(self, table: str, owner: str, ids: Sequence[Any]) -> dict[Any, dict[str, str]]:
        """Keys and values of rows that belong to some of many."""
        import sqlalchemy as sa

        found: defaultdict[Any, dict[str, str]] = defaultdict(dict)
        if table in self._tables:
            of = self._tables[table]
            for row in self._rows(sa.select(of).where(of.c[owner].in_(ids))):
                found[row[owner]][row["key"]] = row["value"] or ""
        return found

    def experiments(self) -> Iterator[SourceExperiment]:
        """See Source."""
        import sqlalchemy as sa

        of = self._tables["experiments"]
        rows = self._rows(sa.select(of).order_by(of.c.experiment_id))
        tags = self._tags("experiment_tags", "experiment_id", [r["experiment_id"] for r in rows])
        for row in rows:
            yield SourceExperiment(
                experiment_id=str(row["experiment_id"]),
                name=_named(row, "/"),
                active=row["lifecycle_stage"] == "active",
                tags=tags[row["experiment_id"]],
                creation_time=row.get("creation_time"),
                last_update_time=row.get("last_update_time"),
            )

    def runs(self, experiment_id: str) -> Iterator[SourceRun]:
        """See Source."""
        import sqlalchemy as sa

        of = self._tables["runs"]
        last = ""
        while True:
            page = self._rows(
                sa.select(of)
                .where(of.c.experiment_id == int(experiment_id), of.c.run_uuid > last)
                .order_by(of.c.run_uuid)
                .limit(PAGE_RUNS)
            )
            yield from self._made(page)
            if len(page) < PAGE_RUNS:
                return
            last = page[-1]["run_uuid"]

    def run(self, run_id: str) -> SourceRun | None:
        """See Source."""
        import sqlalchemy as sa

        of = self._tables["runs"]
        return next(self._made(self._rows(sa.select(of).where(of.c.run_uuid == run_id))), None)

    def _made(self, page: Sequence[Any]) -> Iterator[SourceRun]:
        import sqlalchemy as sa

        ids = [row["run_uuid"] for row in page]
        params = self._tags("params", "run_uuid", ids)
        tags = self._tags("tags", "run_uuid", ids)
        of = self._tables["latest_metrics"]
        latest: defaultdict[str, dict[str, object]] = defaultdict(dict)
        for row in self._rows(sa.select(of).where(of.c.run_uuid.in_(ids))):
            value = float("nan") if row["is_nan"] else float(row["value"])
            latest[row["run_uuid"]][row["key"]] = newest(row["step"], row["timestamp"], value)
        inputs = self._inputs(ids)
        for row in page:
            run_id = row["run_uuid"]
            yield SourceRun(
                run_id=run_id,
                experiment_id=str(row["experiment_id"]),
                name=row["name"] or tags[run_id].get("mlflow.runName", ""),
                user_id=row["user_id"] or "",
                status=row["status"],
                start_time=row["start_time"],
                end_time=row["end_time"],
                active=row["lifecycle_stage"] == "active",
                artifact_uri=row["artifact_uri"] or "",
                params=params[run_id],
                tags=tags[run_id],
                metrics=latest[run_id],
                inputs=inputs[run_id],
            )

    def _inputs(self, ids: Sequence[str]) -> dict[str, list[DatasetInput]]:
        import sqlalchemy as sa

        found: defaultdict[str, list[DatasetInput]] = defaultdict(list)
        if "inputs" not in self._tables:
            return found
        inputs, datasets = self._tables["inputs"], self._tables["datasets"]
        rows = self._rows(
            sa.select(inputs.c.input_uuid, inputs.c.destination_id, datasets)
            .join(datasets, datasets.c.dataset_uuid == inputs.c.source_id)
            .where(inputs.c.source_type == "DATASET", inputs.c.destination_id.in_(ids))
            .order_by(inputs.c.input_uuid)
        )
        of = self._tables["input_tags"]
        tags: defaultdict[str, list[InputTag]] = defaultdict(list)
        used = [row["input_uuid"] for row in rows]
        for row in self._rows(sa.select(of).where(of.c.input_uuid.in_(used))):
            tags[row["input_uuid"]].append(InputTag(row["name"], row["value"]))
        for row in rows:
            dataset = Dataset(
                name=row["name"],
                digest=row["digest"],
                source_type=row["dataset_source_type"],
                source=row["dataset_source"],
                schema=row["dataset_schema"],
                profile=row["dataset_profile"],
            )
            found[row["destination_id"]].append(DatasetInput(dataset, tags[row["input_uuid"]]))
        return found

    def points(self, run: SourceRun) -> Iterator[Points]:
        """See Source. The primary key of the table keeps a point from standing there twice."""
        import sqlalchemy as sa

        of = self._tables["metrics"]
        statement = (
            sa.select(of.c.key, of.c.step, of.c.timestamp, of.c.value, of.c.is_nan)
            .where(of.c.run_uuid == run.run_id)
            .order_by(of.c.key, of.c.timestamp, of.c.step, of.c.value)
        )
        with self._connected() as connection:
            # Rows come as they are read, not all at once.
            asked = connection.execution_options(stream_results=True, max_row_buffer=PIECE_POINTS)
            piece: Points | None = None
            for rows in asked.execute(statement).partitions(PIECE_POINTS):
                for key, step, timestamp, value, is_nan in rows:
                    if piece is None or piece.key != key or len(piece) == PIECE_POINTS:
                        if piece is not None:
                            yield piece
                        piece = Points.empty(key)
                    piece.add(step, timestamp, float("nan") if is_nan else value)
            if piece is not None:
                yield piece

    def run_files(self, run: SourceRun) -> Tree:
        """See Source."""
        return self._places.tree(run.artifact_uri)

    def models(self) -> Iterator[SourceModel]:
        """See Source."""
        import sqlalchemy as sa

        of = self._tables["registered_models"]
        for row in self._rows(sa.select(of).order_by(*of.primary_key)):
            aliases: dict[str, int] = {}
            if "registered_model_aliases" in self._tables:
                pointing = self._of_model("registered_model_aliases", row)
                aliases = {each["alias"]: each["version"] for each in pointing}
            tags = self._of_model("registered_model_tags", row)
            yield SourceModel(
                name=_named(row, "."),
                description=row["description"] or "",
                tags={each["key"]: each["value"] or "" for each in tags},
                aliases=aliases,
                creation_time=row["creation_time"],
                last_updated_time=row["last_updated_time"],
            )

    def _of_model(self, table: str, row: Any) -> Sequence[Any]:
        """Rows of another table that belong to a registered model."""
        import sqlalchemy as sa

        of = self._tables[table]
        wanted = [of.c.name == row["name"]]
        if "workspace" in of.c:
            wanted.append(of.c.workspace == row["workspace"])
        return self._rows(sa.select(of).where(*wanted))

    def versions(self, model: SourceModel) -> list[SourceVersion]:
        """See Source."""
        import sqlalchemy as sa

        of = self._tables["registered_models"]
        rows = [row for row in self._rows(sa.select(of)) if _named(row, ".") == model.name]
        found = []
        for row in rows:
            tags: defaultdict[int, dict[str, str]] = defaultdict(dict)
            for each in self._of_model("model_version_tags", row):
                tags[each["version"]][each["key"]] = each["value"] or ""
            for each in self._of_model("model_versions", row):
                if each["current_stage"] == DELETED_STAGE:
                    continue
                found.append(_version(model.name, each, tags[each["version"]]))
        return sorted(found, key=lambda each: each.version)

    def version_files(self, version: SourceVersion) -> Tree:
        """See Source."""
        return self._tree(version.files_uri)

    def _tree(self, uri: str) -> Tree:
        import sqlalchemy as sa

        try:
            found = parse_artifact_uri(uri.replace("models:/m-", "models:/of/m-", 1))
        except InvalidUri as error:
            raise FilesOutOfReach(error.message) from None
        if isinstance(found, RunUri):
            of = self._tables["runs"]
            statement = sa.select(of.c.artifact_uri).where(of.c.run_uuid == found.run_id)
        elif isinstance(found, ModelUri) and found.selector.startswith("m-"):
            of = self._tables["logged_models"]
            statement = sa.select(of.c.artifact_location).where(of.c.model_id == found.selector)
        elif isinstance(found, ModelUri) and VERSION.fullmatch(found.selector):
            of = self._tables["model_versions"]
            statement = sa.select(_location(of)).where(
                of.c.name == found.name, of.c.version == int(found.selector)
            )
        else:
            return self._places.tree(uri)
        with self._connected() as connection:
            place = connection.execute(statement).scalar()
        if not place:
            raise FilesOutOfReach(f"{uri} is not there any more")
        tree = self._tree(place) if place != uri else self._places.tree(place)
        return SubTree(tree, found.path)

    def close(self) -> None:
        """See Source."""
        self._engine.dispose()


_READ = (
    "experiments",
    "experiment_tags",
    "runs",
    "params",
    "tags",
    "metrics",
    "latest_metrics",
    "datasets",
    "inputs",
    "input_tags",
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
    "logged_models",
)


def _engine(url: str) -> sa.Engine:
    try:
        import sqlalchemy as sa
    except ImportError:
        raise SourceUnreadable(
            "databases are read with SQLAlchemy: pip install 'runstone[import]'"
        ) from None
    if url.startswith("sqlite:"):
        url = _read_only(url)
    # Which driver a bare postgresql:// means depends on the version of SQLAlchemy.
    url = re.sub(r"^postgres(ql)?:", "postgresql+psycopg:", url)
    try:
        return sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=2)
    except ImportError as error:
        raise SourceUnreadable(
            f"the package {error.name} is missing, which reads this database"
        ) from None
    except sa.exc.ArgumentError:
        raise SourceUnreadable("the source is no URL of a database that can be read") from None


def _read_only(url: str) -> str:
    """A URL by which SQLite neither makes a missing file nor writes to one that is there."""
    path = Path(url.partition("///")[2].partition("?")[0])
    if not path.is_file():
        raise SourceUnreadable(f"there is no file {path}")
    return f"sqlite:///file:{path.absolute()}?mode=ro&uri=true"


def _named(row: Any, between: str) -> str:
    """A name, with its workspace before it where there are several."""
    workspace = row.get("workspace") or OWN_WORKSPACE
    return row["name"] if workspace == OWN_WORKSPACE else f"{workspace}{between}{row['name']}"


def _location(table: sa.Table) -> Any:
    """Where a version's files are: since 2.9 in a column of its own."""
    import sqlalchemy as sa

    if "storage_location" in table.c:
        return sa.func.coalesce(table.c.storage_location, table.c.source)
    return table.c.source


def _version(name: str, row: Any, tags: dict[str, str]) -> SourceVersion:
    return SourceVersion(
        name=name,
        version=row["version"],
        description=row["description"] or "",
        tags=tags,
        run_id=row["run_id"] or "",
        run_link=row.get("run_link") or "",
        user_id=row["user_id"] or "",
        source=row["source"] or "",
        stage=row["current_stage"] or "None",
        status=row["status"] or "READY",
        creation_time=row["creation_time"],
        last_updated_time=row["last_updated_time"],
        files_uri=row.get("storage_location") or row["source"] or "",
    )
