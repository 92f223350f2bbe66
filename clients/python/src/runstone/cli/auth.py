"""`runstone auth`: tokens, of users and of servers."""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
from typing import TYPE_CHECKING

import click

from runstone.cli._session import Group, Session
from runstone.exceptions import FailedPrecondition, InvalidArgument, Unauthenticated

if TYPE_CHECKING:
    from runstone._uri import Remote

PREFIX = "rst_"
"""Whoever finds one, or scans for secrets, sees what it is."""

_NAME = re.compile(r"[^\s#]{1,256}")


@click.group(
    "auth",
    cls=Group,
    epilog="""\b
Examples:
  runstone auth create-token ada >> tokens
  runstone server --tokens-file tokens
  runstone auth login runstone://localhost:5051
  runstone auth status
""",
)
def command() -> None:
    """Tokens, by which a server knows who calls."""


@command.command(
    "create-token",
    local=True,
    epilog="""\b
Examples:
  runstone auth create-token ada >> tokens
""",
)
@click.argument("user")
@click.pass_obj
def create_token(session: Session, user: str) -> None:
    """Make a token for a user, and the line that lets its owner in.

    Standard output gets the line for the file that a server's --tokens-file (RUNSTONE_TOKENS_FILE)
    names: it holds only a digest. Standard error gets the token itself, once: give it to its user,
    who hands it to `runstone auth login` or sets RUNSTONE_TRACKING_TOKEN. Take the line out to
    take the token back; servers notice within a second.
    """
    if _NAME.fullmatch(user) is None:
        raise InvalidArgument("USER must be 1 to 256 characters without spaces and #")
    token = PREFIX + secrets.token_urlsafe(32)
    line = f"{user} sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    if session.as_json:
        session.answer({"user": user, "token": token, "line": line}, "")
        return
    click.echo(line)
    click.echo(f"The token of {user}, shown only now: {token}", err=True)


@command.command(
    "login",
    epilog="""\b
Examples:
  runstone auth login runstones://runs.example.com
  runstone auth login runstones://runs.example.com --token-stdin < token
""",
)
@click.argument("uri", required=False)
@click.option("--token-stdin", is_flag=True, help="Take the token from standard input.")
@click.pass_obj
def login(session: Session, uri: str | None, token_stdin: bool) -> None:
    """Keep your token for a server, after asking the server whether it knows it.

    URI is the server's; by default where the suite is. The token is kept for each address in it
    (runstone://host?artifact=host:port), in ~/.config/runstone/credentials.json, which only you can
    read.
    """
    from runstone import _credentials

    remotes = _servers(session, uri)
    remote = remotes[0]
    if token_stdin or not sys.stdin.isatty():
        token = sys.stdin.readline().strip()
    else:
        token = click.prompt(f"Token for {remote}", hide_input=True, err=True).strip()
    if not token:
        raise InvalidArgument("there is no token on standard input")
    for each in remotes:
        _credentials.check(token, each, "the token")
    try:
        known = _known(remote, token)
    except Unauthenticated as error:
        raise Unauthenticated(
            f"{error.message}; who runs it makes you another by `runstone auth create-token`, and"
            " nothing was kept",
            request_id=error.request_id,
        ) from None
    for each in remotes:
        _credentials.keep(each.address, token)
    told = "is kept" if known else "is kept, though this server asks nobody for one"
    session.answer(
        {"server": str(remote), "asks_for_token": known}, f"The token for {remote} {told}."
    )


@command.command(
    "logout",
    local=True,
    epilog="""\b
Examples:
  runstone auth logout runstones://runs.example.com
""",
)
@click.argument("uri", required=False)
@click.pass_obj
def logout(session: Session, uri: str | None) -> None:
    """Forget your token for a server. The server still knows it."""
    from runstone import _credentials

    remotes = _servers(session, uri)
    remote = remotes[0]
    if not [each for each in remotes if _credentials.drop(each.address)]:
        raise FailedPrecondition(f"no token is kept for {remote}")
    session.answer({"server": str(remote)}, f"The token for {remote} is forgotten.")


@command.command(
    "status",
    epilog="""\b
Examples:
  runstone auth status
""",
)
@click.argument("uri", required=False)
@click.pass_obj
def status(session: Session, uri: str | None) -> None:
    """Show whether a server asks for a token, and knows yours; fails if it does not."""
    from runstone import _credentials

    remotes = _servers(session, uri)
    remote = remotes[0]
    token = _credentials.token_for(remote)
    asks = _known(remote, None)
    without = [str(each) for each in remotes if not _credentials.token_for(each)]
    if asks and without:
        raise FailedPrecondition(
            f"{remote} knows your token, but there is none for {', '.join(without)}; log in again"
            " with the same URI"
        )
    told = {"server": str(remote), "asks_for_token": asks, "has_token": bool(token)}
    if not asks:
        said = f"{remote} asks nobody for a token."
    else:
        said = f"{remote} knows your token."
    session.answer(told, said)


def _servers(session: Session, uri: str | None) -> list[Remote]:
    """The addresses of a server's services, the tracking service's first."""
    from runstone import _uri

    # A token for a server that was named is not the environment's other servers' to have.
    targets = _uri.parse(uri) if uri else _uri.resolve(session.tracking_uri)
    target = targets.tracking
    if isinstance(target, _uri.Embedded):
        raise InvalidArgument(
            f"the suite of {target.data_dir} asks for no token: its folder lets nobody else in;"
            " name a server, runstone://host:port"
        )
    every = dict.fromkeys((target, targets.artifact, targets.registry))
    return [each for each in every if isinstance(each, _uri.Remote)]


def _known(remote: Remote, token: str | None) -> bool:
    """Whether the server asks for a token at all. Raises Unauthenticated for one it knows not.

    ``token``: None for the one that other commands would send.
    """
    from runstone import _settings
    from runstone._connection import Connection
    from runstone.tracking.v1 import experiment_pb2

    request = experiment_pb2.SearchExperimentsRequest(page_size=1)
    asks = False
    for said in ("", token):
        connection = Connection(remote, timeout=_settings.timeout(), token=said)
        try:
            connection.service("tracking").SearchExperiments(request)
            return asks
        except Unauthenticated:
            asks = True
            if said != "":
                raise
        finally:
            connection.close()
    return asks
