"""The database and the object store that this environment names, for who looks on the server."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from runstone._doctor import masking, variables
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

DATABASE = "_DATABASE_URL"
OBJECTS = "_OBJECTS_URL"

SECONDS = 3

SKEWED_SECONDS = 2.0


def look(asked: Asked, name: str) -> Lines:
    """A line for each that is named."""
    databases, objects = (_named(asked, each) for each in (DATABASE, OBJECTS))
    for url, variable in databases.items():
        yield from _database(f"{name}.{variable}", url)
    for url, variable in objects.items():
        yield _objects(f"{name}.{variable}", url)
    if not databases and not objects:
        yield Line(
            name, OK, "this environment names no database; services tell of theirs (see above)"
        )


def _named(asked: Asked, suffix: str) -> dict[str, str]:
    """Every address that is named for all services or for one, with its variable."""
    found: dict[str, str] = {}
    for variable in sorted(variables.of_servers(), key=lambda each: (len(each), each)):
        value = asked.environment.get(variable, "")
        if not value or not variable.removesuffix("_FILE").endswith(suffix):
            continue
        if variable.endswith("_FILE"):
            try:
                value = Path(value).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                continue  # told by the configuration
        found.setdefault(value, variable)
    return found


def _place(url: str) -> str:
    """Where a URL leads, without who calls. What cannot be read is not told at all."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{url.partition(':')[0]}:…"
    if not parts.hostname:
        return f"{parts.scheme}:…"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _database(name: str, url: str) -> Lines:
    place = _place(url)
    if url.startswith("sqlite:///") and f".RUNSTONE{DATABASE}" not in name:  # one file a service
        yield Line(
            name, OK, f"a service keeps its rows in SQLite: {url.removeprefix('sqlite:///')}"
        )
        return
    if not url.startswith(("postgresql", "postgres")):
        yield Line(
            name,
            FAILURE,
            f"{place} is no database of a server",
            "RUNSTONE_DATABASE_URL=postgresql://user:password@host:5432/database",
        )
        return
    if importlib.util.find_spec("psycopg") is None:
        yield Line(
            name,
            WARNING,
            f"{place} was not asked: psycopg is not installed",
            "pip install 'psycopg[binary]'",
        )
        return
    import psycopg

    scheme, _, rest = url.partition("://")
    plain = f"{scheme.partition('+')[0]}://{rest}"
    clock = time.perf_counter()
    try:
        with psycopg.connect(plain, connect_timeout=SECONDS, autocommit=True) as connection:
            opened = time.perf_counter() - clock
            began, asked_at = time.time(), time.perf_counter()
            row = connection.execute(
                "SELECT extract(epoch FROM clock_timestamp())::float8,"
                " current_setting('server_version')"
            ).fetchone()
            took = time.perf_counter() - asked_at
    except psycopg.Error as error:
        # The driver's own text may have the whole address, which may come from a file.
        said = masking.masked(" ".join(str(error).split()), masking.secrets_of({"url": url}))
        yield Line(
            name,
            FAILURE,
            f"the database {place} cannot be used: {said}",
            "start it, or correct the host, user or password of its URL",
            {"waited_ms": round((time.perf_counter() - clock) * 1000)},
        )
        return
    assert row is not None
    yield Line(
        name,
        OK,
        f"{place} answers: {took * 1000:.3g} ms, connected in {opened * 1000:.3g} ms,"
        f" PostgreSQL {row[1]}",
        details={"connect_ms": round(opened * 1000, 2), "query_ms": round(took * 1000, 2)},
    )
    # Its clock was read between our sending and our receiving.
    least, most = row[0] - (began + took), row[0] - began
    yield _clock("clock.database", least, most)


def _clock(name: str, least: float, most: float) -> Line:
    middle = (least + most) / 2
    details = {
        "skew_ms": round(middle * 1000, 2),
        "within_ms": round((most - least) * 500, 2),
        "bound": "its time lies between our sending and our receiving",
    }
    said = f"the database's clock is {middle * 1000:+.0f} ms from ours"
    said += f", within {(most - least) * 500:.3g} ms"
    near = 0.0 if least <= 0 <= most else min(abs(least), abs(most))
    if near < SKEWED_SECONDS:
        return Line(name, OK, said, details=details)
    return Line(name, WARNING, said, "set both clocks by NTP (timedatectl set-ntp true)", details)


def _objects(name: str, url: str) -> Line:
    place = _place(url)
    if not url.startswith(("s3+http://", "s3+https://")):
        if url.startswith(("file:", "/")):
            return Line(name, OK, f"objects are in a folder: {url}")
        return Line(
            name,
            FAILURE,
            f"{place} is no object store",
            "RUNSTONE_OBJECTS_URL=s3+https://key:secret@host:9000/bucket, or file:///folder",
        )
    if importlib.util.find_spec("minio") is None:
        said = f"{place} was not asked: minio is not installed"
        return Line(name, WARNING, said, "pip install minio")
    try:
        bucket, client = _client(url)
        began = time.perf_counter()
        there = client.bucket_exists(bucket)
    except Exception as error:
        # S3's own errors have a code; the texts of others may have the whole address.
        why = str(getattr(error, "code", "")) or f"{type(error).__name__}: {error}"
        why = masking.masked(" ".join(why.split()), masking.secrets_of({"url": url}))
        return Line(
            name,
            FAILURE,
            f"the object store {place} cannot be used: {why:.300}",
            "start it, or correct the host and the keys of its URL",
            {"kind": type(error).__name__},
        )
    took = time.perf_counter() - began
    if not there:
        return Line(
            name,
            FAILURE,
            f"{place}: there is no bucket {bucket}",
            "make the bucket, or correct the end of the URL",
        )
    return Line(name, OK, f"{place} answers: {took * 1000:.3g} ms, the bucket is there")


def _client(url: str) -> tuple[str, Any]:
    import urllib3
    from minio import Minio

    parts = urlsplit(url)
    client = Minio(
        endpoint=parts.netloc.rpartition("@")[2],
        access_key=unquote(parts.username or "") or None,
        secret_key=unquote(parts.password or "") or None,
        secure=parts.scheme == "s3+https",
        http_client=urllib3.PoolManager(timeout=SECONDS, retries=False),
    )
    return parts.path.strip("/").partition("/")[0], client
