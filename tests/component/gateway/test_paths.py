"""Paths that lead elsewhere, over every route that takes one: the right answer, nothing touched."""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from support.http_gateway import MLFLOW, PROXY, Answer, Gateway, root

# As they stand in a URL: what is percent-encoded here is so on the wire.
UP = [
    *("..", ".", "./x", "../x", "x/..", "x/../y", "x/./y", "%2e%2e", "%2e%2e/x", "%2E%2E%2Fx"),
    *("..%2f..%2fetc%2fpasswd", "x/%2e%2e/%2e%2e/y", "../../../../etc/passwd", "..//x", "%2e"),
]
ROOTED = ["/etc/passwd", "//x", "%2fetc%2fpasswd", "%2f", "x//y", "x%2f%2fy", "file:%2f%2f%2fetc"]
CONTROL = [
    *("%00", "x%00", "x%00.txt", "..%00/x", "..%0d/x", "a%0ab", "a%0d%0aX-Evil:%201", "a%1fb"),
    *("%7f", "%c2%85", "x%e2%80%a8"),
]
BACKSLASH = ["a%5cb", "..%5c..%5cx", "%5c%5chost%5cshare", "C:%5cx", "%5c"]
NO_TEXT = ["%ff", "%80x", "%c0%ae%c0%ae/x", "x/%c0%af", "%ed%a0%80"]
LONG = ["a" * 256, "/".join(["a" * 250] * 5), "%c3%a9" * 128]
REFUSED = [*UP, *ROOTED, *CONTROL, *BACKSLASH, *NO_TEXT, *LONG]

# Names like others to the service; MLflow's clients would not read them back.
UNREADABLE = [
    *("%252e%252e", "%252e%252e%252fx", "x/%2523", "a%23b", "%23", "%23/x", "C:/x", "c:x", "C:"),
    *("file:/etc/passwd", "FILE:x"),
]

ODD = [
    *("a%3fb", "a;b", "..;", "...", "....", "a%20b", "%e6%97%a5.txt", "~", "$HOME", "%7b%7b7*7%7d"),
    *("a'b", "a%22b", "-rf", "%ef%bc%8e%ef%bc%8e", "a%25", "a+b", "con", "a%3cb%3e", "ab:y"),
]

Route = Callable[[Gateway, str, str], Answer]

READS: dict[str, Route] = {
    "get": lambda to, run, path: to.ask("GET", f"{PROXY}/artifacts/{root(run)}/{path}"),
    "range": lambda to, run, path: to.ask(
        "GET", f"{PROXY}/artifacts/{root(run)}/{path}", headers={"Range": "bytes=0-1"}
    ),
    "get-artifact": lambda to, run, path: to.ask(
        "GET", f"/get-artifact?run_uuid={run}&path={query(path)}"
    ),
}
LISTS: dict[str, Route] = {
    "list": lambda to, run, path: to.ask(
        "GET", f"{PROXY}/artifacts?path={root(run)}/{query(path)}"
    ),
    "artifacts/list": lambda to, run, path: to.ask(
        "GET", f"{MLFLOW}/artifacts/list?run_id={run}&path={query(path)}"
    ),
}
WRITES: dict[str, Route] = {
    "put": lambda to, run, path: to.ask("PUT", f"{PROXY}/artifacts/{root(run)}/{path}", b"x"),
    "put large": lambda to, run, path: to.ask(
        "PUT", f"{PROXY}/artifacts/{root(run)}/{path}", bytes(5 * 2**20)
    ),
    "upload-artifact": lambda to, run, path: to.ask(
        "POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={query(path)}", b"x"
    ),
}
DELETES: dict[str, Route] = {
    "delete": lambda to, run, path: to.ask("DELETE", f"{PROXY}/artifacts/{root(run)}/{path}"),
}
NEVER: dict[str, Route] = {
    "presigned-upload-url": lambda to, run, path: to.post(
        f"{MLFLOW}/artifacts/presigned-upload-url", run_id=run, path=unquote(path)
    ),
    "presigned-download-url": lambda to, run, path: to.post(
        f"{MLFLOW}/artifacts/presigned-download-url", run_id=run, path=unquote(path)
    ),
}


def query(path: str) -> str:
    """A path as it stands in a query, where plus is a blank and a semicolon may divide."""
    return path.replace("+", "%2b").replace(";", "%3b").replace("&", "%26")


def create(to: Gateway, run: str, path: str) -> Answer:
    """Begin an upload by parts; a path's last name is the file's."""
    return to.post(f"{PROXY}/mpu/create/{root(run)}/{path}", path="/tmp/x.bin", num_parts=1)


def named(to: Gateway, run: str, path: str) -> Answer:
    """Begin an upload by parts of a file of this name."""
    return to.post(f"{PROXY}/mpu/create/{root(run)}", path=unquote(path), num_parts=1)


def presigned(to: Gateway, run: str, path: str) -> Answer:
    return to.ask("GET", f"{PROXY}/presigned/{root(run)}/{path}")


@pytest.fixture(scope="module")
def run(embedded: Gateway) -> str:
    """A run with a file, beside another one with a file."""
    for each in (embedded.new_run(), run_id := embedded.new_run()):
        kept = embedded.ask("PUT", f"{PROXY}/artifacts/{root(each)}/kept", b"kept")
        assert kept.status == 200
    return run_id


@pytest.fixture(scope="module")
def s3_run(on_s3: Gateway) -> str:
    return on_s3.new_run()


@pytest.fixture
def untouched(embedded: Gateway, run: str) -> Iterator[None]:
    """Nothing is there afterwards that was not there before, and nothing is gone."""
    before = embedded.files()
    yield
    assert embedded.files() == before
    assert embedded.open_uploads() == []
    assert embedded.ask("GET", f"{PROXY}/artifacts/{root(run)}/kept").body == b"kept"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", REFUSED)
def test_what_is_no_path_is_refused_everywhere(embedded: Gateway, run: str, path: str) -> None:
    routes = {**READS, **LISTS, **WRITES, **DELETES, **NEVER}
    answers = {name: ask(embedded, run, path) for name, ask in routes.items()}
    wrong = {
        name: answer
        for name, answer in answers.items()
        if answer.error != (400, "INVALID_PARAMETER_VALUE")
    }
    assert wrong == {}
    assert embedded.ask("HEAD", f"{PROXY}/artifacts/{root(run)}/{path}").status == 400


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", UNREADABLE)
def test_what_clients_could_not_read_back_is_not_taken(
    embedded: Gateway, run: str, path: str
) -> None:
    for ask in WRITES.values():
        assert ask(embedded, run, path).error == (400, "INVALID_PARAMETER_VALUE")
    for ask in READS.values():
        assert ask(embedded, run, path).error == (404, "RESOURCE_DOES_NOT_EXIST")
    for name, ask in LISTS.items():
        assert ask(embedded, run, path).json.get("files", []) == [], name


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ODD)
def test_odd_names_are_names_like_others(embedded: Gateway, run: str, path: str) -> None:
    for write in WRITES.values():
        assert write(embedded, run, path).json == {}
        for read in READS.values():
            assert read(embedded, run, path).status in (200, 206)
        found = LISTS["artifacts/list"](embedded, run, "").json["files"]
        assert [each["path"] for each in found] == sorted([unquote(path), "kept"])
        assert DELETES["delete"](embedded, run, path).json == {}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["x/", "kept/", "/"])
def test_a_directory_may_end_with_a_slash_and_a_file_may_not(
    embedded: Gateway, run: str, path: str
) -> None:
    for name, ask in {**READS, **WRITES}.items():
        assert ask(embedded, run, path).error == (400, "INVALID_PARAMETER_VALUE"), name
    if path != "/":
        for name, ask in LISTS.items():
            assert ask(embedded, run, path).json.get("files", []) == [], name


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_no_path_gets_no_urls(on_s3: Gateway, s3_run: str, path: str) -> None:
    for ask in (presigned, create):
        assert ask(on_s3, s3_run, path).error == (400, "INVALID_PARAMETER_VALUE")
    # A client's file may be anywhere on its machine: only its name is taken.
    name = unquote(path).replace("\\", "/").rpartition("/")[2]
    if name in ("", ".", "..") or not name.isprintable() or len(name.encode()) > 255:
        assert named(on_s3, s3_run, path).error == (400, "INVALID_PARAMETER_VALUE")
    for call in ("complete", "abort"):
        body = {"path": "x.bin", "upload_id": "a" * 32, "parts": [{"part_number": 1, "etag": "e"}]}
        answer = on_s3.post(f"{PROXY}/mpu/{call}/{root(s3_run)}/{path}", **body)
        assert answer.status in (400, 404)
    assert on_s3.files() == []
    assert on_s3.open_uploads() == []


@pytest.mark.parametrize("path", UNREADABLE)
def test_what_clients_could_not_read_back_gets_no_parts(
    on_s3: Gateway, s3_run: str, path: str
) -> None:
    assert create(on_s3, s3_run, path).error == (400, "INVALID_PARAMETER_VALUE")
    assert presigned(on_s3, s3_run, path).error == (404, "RESOURCE_DOES_NOT_EXIST")
    assert on_s3.open_uploads() == []


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "path",
    [
        *("x", "0", "0/{run}", "0/{run}/artifactsx/f", "0//artifacts/f", "/0/{run}/artifacts/f"),
        *("0/{run}/Artifacts/f", "{run}/artifacts/f", "0/x/{run}/artifacts/f", "etc/passwd"),
        *("../0/{run}/artifacts/f", "0/../{run}/artifacts/f", "0/{run}/../artifacts/f"),
        *("0/..%2f{run}/artifacts/f", "0/{run}%00/artifacts/f", "0/..%5c/artifacts/f"),
        *(
            "model-versions//artifacts/f",
            "model-versions/../artifacts/f",
            "%2e%2e/{run}/artifacts/f",
        ),
    ],
)
def test_what_is_no_place_is_refused(embedded: Gateway, run: str, path: str) -> None:
    path = path.format(run=run)
    answers = [
        embedded.ask("GET", f"{PROXY}/artifacts/{path}"),
        embedded.ask("PUT", f"{PROXY}/artifacts/{path}", b"x"),
        embedded.ask("DELETE", f"{PROXY}/artifacts/{path}"),
        embedded.ask("GET", f"{PROXY}/artifacts?path={path}"),
        embedded.ask("GET", f"{PROXY}/presigned/{path}"),
        embedded.post(f"{PROXY}/mpu/create/{path}", path="x"),
    ]
    codes = {
        (400, "INVALID_PARAMETER_VALUE"),
        (404, "RESOURCE_DOES_NOT_EXIST"),
        # A folder has no URLs, whatever is asked for.
        (501, "NOT_IMPLEMENTED"),
    }
    assert {answer.error for answer in answers} <= codes


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["1/{run}/artifacts/kept", "0/{none}/artifacts/kept"])
def test_another_experiments_and_unknown_runs_are_not_there(
    embedded: Gateway, run: str, path: str
) -> None:
    path = path.format(run=run, none="0" * 32)
    for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
        answer = embedded.ask(method, f"{PROXY}/artifacts/{path}", body)
        assert answer.error == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.usefixtures("untouched")
def test_files_of_versions_are_only_read(embedded: Gateway) -> None:
    path = f"{PROXY}/artifacts/model-versions/{'0' * 32}/artifacts/f"
    assert embedded.ask("GET", path).error == (404, "RESOURCE_DOES_NOT_EXIST")
    assert embedded.ask("PUT", path, b"x").error == (400, "INVALID_PARAMETER_VALUE")
    assert embedded.ask("DELETE", path).error == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["/", "", "//", "/../"])
def test_everything_at_once_cannot_be_deleted(embedded: Gateway, path: str) -> None:
    answer = embedded.ask("DELETE", f"{PROXY}/artifacts{path}")
    assert answer.status in (400, 404, 405)
