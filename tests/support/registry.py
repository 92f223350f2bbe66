"""What tests of the registry share: fake peers, a clock, migrated databases, a service on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runstone_kit import migrate
from runstone_kit.context import RequestContext, use
from runstone_kit.database import Database
from runstone_kit.ids import SystemIds
from runstone_registry.errors import (
    PeerUnavailable,
    SourceLoggedModelNotFound,
    SourceNotFound,
    SourceRunNotFound,
)
from runstone_registry.main import MIGRATIONS
from runstone_registry.model import ModelVersion, RegisteredModel
from runstone_registry.model_commands import (
    CreateModel,
    CreateVersion,
    RunSource,
    UploadSource,
)
from runstone_registry.model_webhooks import Answer, Post
from runstone_registry.service import Parts, RegistryService, Sweeper
from runstone_registry.sqlstore import SqlRegistryStore
from runstone_registry.tables import SCHEMA
from support.postgres import PostgresServer

RUN = "0123456789abcdef0123456789abcdef"
LOGGED_MODEL = f"m-{RUN}"


class FakeClock:
    """Stands still until told to go on."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@dataclass
class FakeArtifacts:
    """Owners with the number of their files. ``fault`` is called before, ``after`` behind a call.

    Both get the name of the method; what they raise is what the caller sees.
    """

    runs: dict[str, dict[str, int]] = field(default_factory=lambda: {RUN: {"": 3, "model": 2}})
    models: dict[str, dict[str, int]] = field(default_factory=lambda: {LOGGED_MODEL: {"": 4}})
    owners: dict[str, int] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    fault: Callable[[str], None] = lambda _method: None
    after: Callable[[str], None] = lambda _method: None

    def copy_run_artifacts(self, run_id: str, path: str, model_version_id: str) -> int:
        self._begin("copy_run_artifacts")
        count = self.runs.get(run_id, {}).get(path)
        if count is None:
            raise SourceNotFound(run_id, path)
        self.owners[model_version_id] = count
        self.sealed.add(model_version_id)
        self.after("copy_run_artifacts")
        return count

    def copy_version(self, source_id: str, model_version_id: str) -> int:
        self._begin("copy_version")
        count = self.owners.get(source_id, 0)
        if count:
            self.owners[model_version_id] = count
            self.sealed.add(model_version_id)
        self.after("copy_version")
        return count

    def copy_model_artifacts(self, model_id: str, path: str, model_version_id: str) -> int:
        self._begin("copy_model_artifacts")
        count = self.models.get(model_id, {}).get(path)
        if count is None:
            raise SourceNotFound(model_id, path, kind="model")
        self.owners[model_version_id] = count
        self.sealed.add(model_version_id)
        self.after("copy_model_artifacts")
        return count

    def open(self, model_version_id: str) -> None:
        self._begin("open")
        self.owners[model_version_id] = 0
        self.after("open")

    def seal(self, model_version_id: str) -> int:
        self._begin("seal")
        if self.owners.get(model_version_id):
            self.sealed.add(model_version_id)
        self.after("seal")
        return self.owners.get(model_version_id, 0)

    def delete(self, model_version_id: str) -> None:
        self._begin("delete")
        self.owners.pop(model_version_id, None)
        self.sealed.discard(model_version_id)
        self.after("delete")

    def _begin(self, method: str) -> None:
        self.calls.append(method)
        self.fault(method)


@dataclass
class FakeRuns:
    """Runs that exist, and logged models with the runs that made them."""

    known: set[str] = field(default_factory=lambda: {RUN})
    models: dict[str, str] = field(default_factory=lambda: {LOGGED_MODEL: RUN})
    away: bool = False

    def require_run(self, run_id: str) -> None:
        if self.away:
            raise PeerUnavailable("tracking")
        if run_id not in self.known:
            raise SourceRunNotFound(run_id)

    def run_of_model(self, model_id: str) -> str:
        if self.away:
            raise PeerUnavailable("tracking")
        if model_id not in self.models:
            raise SourceLoggedModelNotFound(model_id)
        return self.models[model_id]


@dataclass
class FakeSender:
    """Takes every delivery, or answers in turn what ``answers`` holds; keeps what was posted."""

    answers: list[Answer] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    before: Callable[[Post], None] = lambda _post: None

    def send(self, post: Post) -> Answer:
        self.before(post)
        self.posts.append(post)
        return self.answers.pop(0) if self.answers else Answer(200)

    @property
    def ids(self) -> list[str]:
        return [post.headers["webhook-id"] for post in self.posts]


class Died(BaseException):
    """Stands for the end of the process: nothing of ours may catch it."""


def away(*methods: str) -> Callable[[str], None]:
    """A fault: the peer can't be reached by these methods, or by any."""

    def fault(method: str) -> None:
        if not methods or method in methods:
            raise PeerUnavailable("artifact")

    return fault


def dies(*methods: str) -> Callable[[str], None]:
    """A fault: the process ends in these methods."""

    def fault(method: str) -> None:
        if method in methods:
            raise Died(method)

    return fault


class Registry:
    """The service on a database, with fakes around it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock()
        self.artifacts = FakeArtifacts()
        self.runs = FakeRuns()
        self.store = SqlRegistryStore(database)
        self.sweeper = Sweeper(self.store, self.artifacts, self.clock)
        self.sender = FakeSender()
        self.service = RegistryService(
            Parts(
                self.store,
                self.artifacts,
                self.runs,
                self.clock,
                SystemIds(),
                self.sweeper,
                self.sender,
            )
        )

    def model(self, name: str = "churn", **values: object) -> RegisteredModel:
        return self.service.create_registered_model(CreateModel(name, **values))  # type: ignore[arg-type]

    def version(self, name: str = "churn", path: str = "model", **values: object) -> ModelVersion:
        wish = CreateVersion(name, RunSource(RUN, path), **values)  # type: ignore[arg-type]
        return self.service.create_model_version(wish)

    def upload(self, name: str = "churn", origin: str = "", files: int = 0) -> ModelVersion:
        version = self.service.create_model_version(CreateVersion(name, UploadSource(origin)))
        self.artifacts.owners[version.model_version_id] = files
        return version

    def pending(self) -> list[str]:
        """Owners that wait for the sweeper, now or ever."""
        found = self.store.read(lambda tx: tx.due_owners(2**62, 1000))
        return [owner.model_version_id for owner in found]

    @staticmethod
    @contextmanager
    def acting(actor: str, request_id: str = "r-1") -> Iterator[None]:
        with use(RequestContext(request_id=request_id, actor=actor)):
            yield


def migrated(url: str, pool_size: int = 20) -> Database:
    """The registry's database at ``url``, brought to the newest revision."""
    database = Database.from_url(url, schema=SCHEMA, pool_size=pool_size, pool_timeout=30.0)
    migrate.upgrade(database, MIGRATIONS)
    return database


class Templates:
    """Migrated databases to copy: a migration takes longer than most tests."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        self._postgres: str | None = None

    def sqlite(self, folder: Path) -> str:
        if not self._file.exists():
            migrated(f"sqlite:///{self._file}").dispose()
        copy = folder / "registry.db"
        copy.write_bytes(self._file.read_bytes())
        return f"sqlite:///{copy}"

    @contextmanager
    def postgresql(self, server: PostgresServer) -> Iterator[str]:
        if self._postgres is None:
            self._postgres = server.create_database()
            migrated(server.url(self._postgres)).dispose()
        with server.database(template=self._postgres) as url:
            yield url
