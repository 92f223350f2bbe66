"""What a shell completes by asking the suite: experiments, runs, models and their versions.

Nobody waits for it, and a prompt is no place for errors: the suite has a second, one that does not
run is not started, and whatever fails completes nothing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from runstone.cli._session import Session

SECONDS = 1.0

MOST = 50
"""Answers; more than these do not help to choose."""

URI_KEY = "runstone.tracking_uri"
"""Where a context keeps the --tracking-uri that stands behind a command's name."""

VARIABLE = "_RUNSTONE_COMPLETE"
"""Click answers a command line in which it is set with completions."""

PLAIN = re.compile(r"[\w.+%,/-]+")
"""What bash takes for one word as it is."""

Found = list[tuple[str, str]]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(find: Callable[[Session, click.Context, str], Found]) -> Completer:
    @wraps(find)
    def complete(
        ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            with _asked(ctx) as session:
                found = find(session, ctx, incomplete) if session else []
        except Exception:
            return []
        bash = os.environ.get(VARIABLE, "").startswith("bash")
        return [
            CompletionItem(value, help=help_text or None)
            for value, help_text in found
            if value.startswith(incomplete) and (not bash or PLAIN.fullmatch(value))
        ]

    return complete


@contextmanager
def _asked(ctx: click.Context) -> Iterator[Session | None]:
    """A session whose calls end soon; None where no suite serves."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    log = logging.getLogger("runstone")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with _short(ctx) as session:
            yield session
    finally:
        log.setLevel(level)


@contextmanager
def _short(ctx: click.Context) -> Iterator[Session | None]:
    from runstone import _embedded, _settings, _uri
    from runstone.cli._session import Session

    uri = ctx.meta.get(URI_KEY) or ctx.find_root().params.get("tracking_uri")
    target = _uri.resolve(uri).tracking
    if isinstance(target, _uri.Embedded) and not _embedded.serves(target.data_dir):
        yield None
        return
    session = Session(tracking_uri=uri)
    try:
        with _settings.online(), _embedded.no_longer_than(SECONDS):
            yield session
    finally:
        session.close()


def _beginning(field: str, text: str) -> str:
    # What LIKE takes for a pattern finds too much, which is sorted out later.
    quoted = text.replace("'", "''")
    return f"{field} LIKE '{quoted}%'"


@_completer
def experiment(session: Session, _ctx: click.Context, incomplete: str) -> Found:
    """Names of experiments."""
    from runstone.tracking.v1 import experiment_pb2

    request = experiment_pb2.SearchExperimentsRequest(
        filter=_beginning("name", incomplete) if incomplete else "", page_size=MOST
    )
    answer = session.service("tracking").SearchExperiments(request)
    return [(each.name, f"experiment {each.experiment_id}") for each in answer.experiments]


@_completer
def run(session: Session, _ctx: click.Context, incomplete: str) -> Found:
    """Ids of the last runs that begin so, with their names."""
    from itertools import islice

    from runstone.cli._runids import EXPERIMENTS_AT_ONCE, all_experiments
    from runstone.tracking.v1 import experiment_pb2, run_pb2

    if incomplete and not re.fullmatch("[0-9a-f]+", incomplete):
        return []
    chosen = [each for each, _ in islice(all_experiments(session), EXPERIMENTS_AT_ONCE)]
    request = run_pb2.SearchRunsRequest(
        experiment_ids=chosen,
        filter=_beginning("attributes.run_id", incomplete) if incomplete else "",
        view_type=experiment_pb2.VIEW_TYPE_ALL,
        page_size=MOST,
    )
    answer = session.service("tracking").SearchRuns(request)
    return [(each.run_id, each.name) for each in answer.runs]


@_completer
def model(session: Session, _ctx: click.Context, incomplete: str) -> Found:
    """Names of registered models."""
    from runstone.registry.v1 import model_pb2

    request = model_pb2.SearchRegisteredModelsRequest(
        filter=_beginning("name", incomplete) if incomplete else "", page_size=MOST
    )
    answer = session.service("registry").SearchRegisteredModels(request)
    return [(each.name, "") for each in answer.registered_models]


@_completer
def version(session: Session, ctx: click.Context, _incomplete: str) -> Found:
    """Versions of the model that stands before, and its aliases."""
    from runstone.cli._format import word
    from runstone.cli._plain import enum_text
    from runstone.registry.v1 import model_pb2, model_version_pb2

    quoted = str(ctx.params.get("name") or "").replace("'", "''")
    request = model_version_pb2.SearchModelVersionsRequest(
        filter=f"name = '{quoted}'", order_by=["version_number DESC"], page_size=MOST
    )
    found = session.service("registry").SearchModelVersions(request).model_versions
    aliases = [(f"@{alias}", f"version {each.version}") for each in found for alias in each.aliases]
    stages = model_pb2.Stage.DESCRIPTOR
    return [
        *((str(each.version), word(enum_text(stages, each.stage))) for each in found),
        *aliases,
    ]
