"""Endpoints of files: the artifact proxy, and those that the web page asks for.

Each request has a ``{file}`` of its own in ``{folder}``, the artifacts of ``{run}``.
"""

from __future__ import annotations

from typing import Any

from compat.rest_endpoints import RUN, L, S, W, get, post
from support.rest import Endpoint

PROXY = "/api/2.0/mlflow-artifacts"
PARTS = [{"part_number": 1, "etag": "x", "url": "https://example.com"}]
UNSAFE = ("..", "../x", "%2e%2e/x", "a/../../x", "//etc/passwd", "%2fetc", "a%00b", "C:/x")
"""A few; tests/component/gateway/test_paths.py has all of them over every route."""


def proxy(method: str, path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint(method, f"{PROXY}/{path}", parameters)


def sent(method: str, path: str, data: bytes, /, **query: tuple[str, Any]) -> Endpoint:
    """An endpoint that takes a file's bytes, and its parameters in the query."""
    return Endpoint(method, path, query, data)


FILES = (
    get("artifacts/list", run_id=RUN, path=(S, "")),
    get("artifacts/list", run_id=RUN, path=(S, "model/model.txt")).about("a file"),
    proxy("GET", "artifacts", path=(S, "{folder}")),
    proxy("GET", "artifacts", path=(S, "{file}")).about("a file"),
    proxy("GET", "artifacts", path=(S, "{folder}/none")).about("nothing"),
    proxy("GET", "artifacts/{file}"),
    proxy("GET", "artifacts/{folder}/none.txt").about("nothing"),
    sent("PUT", f"{PROXY}/artifacts/{{folder}}/new/file.txt", b"some text"),
    sent("PUT", f"{PROXY}/artifacts/{{file}}", b"").about("empty"),
    sent("PUT", f"{PROXY}/artifacts/{{file}}/below", b"x").about("below a file"),
    proxy("DELETE", "artifacts/{file}"),
    proxy("DELETE", "artifacts/{folder}/none.txt").about("nothing"),
    proxy("POST", "mpu/create/{folder}", path=(S, "/tmp/big.bin"), num_parts=(W, 2)),
    proxy(
        "POST",
        "mpu/complete/{folder}",
        path=(S, "/tmp/big.bin"),
        upload_id=(S, "none"),
        parts=(L, PARTS),
    ),
    proxy("POST", "mpu/abort/{folder}", path=(S, "/tmp/big.bin"), upload_id=(S, "none")),
    proxy("GET", "presigned/{file}"),
    post(
        "artifacts/presigned-upload-url",
        run_id=RUN,
        path=(S, "model/model.txt"),
        expiration=(W, 60),
    ),
    post(
        "artifacts/presigned-download-url",
        run_id=RUN,
        path=(S, "model/model.txt"),
        expiration=(W, 60),
    ),
    Endpoint("GET", "/get-artifact", {"run_id": RUN, "path": (S, "model/model.txt")}),
    Endpoint("GET", "/get-artifact", {"run_uuid": RUN, "path": (S, "none.txt")}).about("nothing"),
    Endpoint(
        "GET",
        "/model-versions/get-artifact",
        {"name": (S, "{model}"), "version": (S, "1"), "path": (S, "model.txt")},
    ),
    Endpoint(
        "GET",
        "/model-versions/get-artifact",
        {"name": (S, "{model}"), "version": (S, "1"), "path": (S, "none.txt")},
    ).about("nothing"),
    sent(
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact",
        b"some text",
        run_uuid=RUN,
        path=(S, "posted.txt"),
    ),
    sent(
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact",
        b"",
        run_uuid=RUN,
        path=(S, "posted.txt"),
    ).about("nothing"),
    *(sent("PUT", f"{PROXY}/artifacts/{{folder}}/{path}", b"x").about("unsafe") for path in UNSAFE),
    *(proxy("GET", f"artifacts/{{folder}}/{path}").about("unsafe") for path in UNSAFE),
    *(proxy("DELETE", f"artifacts/{{folder}}/{path}").about("unsafe") for path in UNSAFE),
)
