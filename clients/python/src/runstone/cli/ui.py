"""`runstone ui`: where the page is, if there is one."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from runstone.cli._session import Command, Session

HTTP_PORT = 5000
"""Where `runstone server` serves HTTP unless it is told otherwise."""

SECONDS = 3.0
"""For a connection to be made, and for its answer."""


@click.command("ui", cls=Command)
@click.option("--url", metavar="URL", help="Where the server's HTTP is. Default: looked for.")
@click.option("--no-open", is_flag=True, help="Only say the address.")
@click.pass_obj
def command(session: Session, url: str | None, no_open: bool) -> None:
    """Open the page of the server, or say what its HTTP address has instead.

    Of runstone://HOST:PORT the address is http://HOST:5000 unless --url says otherwise; the suite
    of a folder tells it by itself. On a terminal a browser is opened; a pipe gets the address.
    """
    place = (url or _address(session)).rstrip("/")
    if urlsplit(place).scheme not in ("http", "https") or not urlsplit(place).hostname:
        raise click.BadParameter(f"{place!r} must be http://host:port", param_hint="--url")
    page = _has_page(place)
    if not page:
        said = f"{place} has no page yet: it is MLflow's REST API, for MLFLOW_TRACKING_URI={place}"
        session.answer({"url": place, "page": False}, said)
        return
    session.answer({"url": place, "page": True}, place)
    if not no_open and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(place)


def _address(session: Session) -> str:
    from runstone import _uri

    target = _uri.resolve(session.tracking_uri).tracking
    if isinstance(target, _uri.Remote):
        host = f"[{target.host}]" if ":" in target.host else target.host
        return f"{'https' if target.tls else 'http'}://{host}:{HTTP_PORT}"
    told = _told(target.data_dir)
    if told:
        return told
    raise click.ClickException(
        f"nothing serves HTTP for {target.data_dir}: `runstone server --data-dir"
        f" {target.data_dir}` does, or name a server by --tracking-uri or --url"
    )


def _told(data_dir: Path) -> str:
    """What the server of a folder says of its HTTP; empty without one."""
    try:
        said = json.loads((data_dir / "suite.json").read_text("utf-8"))
        return str(said.get("http") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _has_page(place: str) -> bool:
    """Whether a browser would see a page. Raises click.ClickException when nothing answers."""
    parts = urlsplit(place)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request("GET", f"{parts.path}/", headers={"Accept": "text/html"})
        answer = connection.getresponse()
        kind_of_body = answer.getheader("Content-Type", "")
        if answer.status < 400:
            return kind_of_body.startswith("text/html")
        connection.close()
        connection.request("GET", f"{parts.path}/health")
        answer = connection.getresponse()
        if answer.status == http.client.OK:
            return False
        why = f"it answers {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()
    raise click.ClickException(
        f"no Runstone server answers HTTP at {place} ({why}): `runstone server` serves it, and"
        " --url says where it is"
    )
