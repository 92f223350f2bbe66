"""TARGET on the command line: whose files, and which of them."""

from __future__ import annotations

from dataclasses import dataclass

import click

from runstone._modeluri import LoggedModelUri, ModelUri, RunUri, parse_artifact_uri
from runstone.artifact.v1 import artifact_pb2
from runstone.cli import _complete
from runstone.cli._runids import require_run
from runstone.cli._session import Session
from runstone.exceptions import InvalidUri
from runstone.tracking.v1 import logged_model_pb2

target_argument = click.argument("target", shell_complete=_complete.run)


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody's files, from a path on: what TARGET names."""

    owner: artifact_pb2.Owner
    uri: str
    path: str

    def below(self, path: str) -> str:
        """A path of TARGET joined with a PATH behind it."""
        return "/".join(part for part in (self.path, path.strip("/")) if part)

    def uri_of(self, path: str) -> str:
        """The URI of a path of the owner."""
        return f"{self.uri}/{path}" if path else self.uri


def place(session: Session, target: str) -> Place:
    """The files that TARGET names. Raises click.BadParameter, or what the registry raises."""
    try:
        named = parse_artifact_uri(target)
    except InvalidUri as error:
        raise click.BadParameter(error.message, param_hint="TARGET") from None
    if isinstance(named, ModelUri):
        from runstone.cli.models import found_version

        version = f"@{named.alias}" if named.alias else named.selector
        found = found_version(session, named.name, version)
        owner = artifact_pb2.Owner(model_version_id=found.model_version_id)
        return Place(owner, f"models:/{named.name}/{found.version}", named.path)
    if isinstance(named, LoggedModelUri):
        request = logged_model_pb2.GetLoggedModelRequest(model_id=named.model_id)
        model = session.service("tracking").GetLoggedModel(request).model
        owner = artifact_pb2.Owner(logged_model_id=model.model_id)
        return Place(owner, f"models:/{model.model_id}", named.path)
    if named is None:
        run_id, _, path = target.partition("/")
        named = RunUri(run_id, path.strip("/"))
    # The artifact service keeps files by their owner's id: to it, no run and no files are the same.
    run_id = require_run(session, named.run_id)
    return Place(artifact_pb2.Owner(run_id=run_id), f"runs:/{run_id}", named.path)
