"""The repository keeps its own rules: layout, file length, pins, help, no addresses."""

import re
import tomllib
from pathlib import Path, PurePath

import pytest

from support import addresses
from support.binaries import CONSTRAINTS, REPOSITORY

FOLDERS = {"protos", "services", "clients", "deploy", "tests"}
# Past this a file is asking to be two.
MOST_LINES = 500
SOURCES = {".py", ".proto", ".go", ".java", ".rs", ".ts", ".tsx", ".cpp", ".h", ".R", ".sh"}
DISTRIBUTIONS = [REPOSITORY / "pyproject.toml", REPOSITORY / "clients/python/pyproject.toml"]
# What `import runstone` may need at most.
LIGHT = {"blake3", "click", "grpcio", "grpcio-status", "isal", "protobuf", "pyyaml", "rich"}


@pytest.fixture(scope="module")
def files() -> list[PurePath]:
    return [PurePath(name) for name in addresses.committed_files()]


def normal(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return normal(found[0])


def pins() -> dict[str, str]:
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in wanted), wanted
    return {normal(line.split("==")[0]): line.split("==")[1] for line in wanted}


def requirements(manifest: Path) -> set[str]:
    """The names of everything that a pyproject.toml asks for, build and groups included."""
    content = tomllib.loads(manifest.read_text("utf-8"))
    project = content["project"]
    lists = [
        content["build-system"]["requires"],
        project["dependencies"],
        *project.get("optional-dependencies", {}).values(),
        *content.get("dependency-groups", {}).values(),
    ]
    return {requirement_name(item) for items in lists for item in items if isinstance(item, str)}


def test_top_level_folders_are_the_fixed_ones(files: list[PurePath]) -> None:
    folders = {path.parts[0] for path in files if len(path.parts) > 1}
    assert {name for name in folders if not name.startswith(".")} <= FOLDERS


def test_no_merge_was_left_undone(files: list[PurePath]) -> None:
    marker = re.compile(rb"^(<{7} |>{7} |\|{7} )", re.MULTILINE)
    undone = [path for path in files if marker.search((REPOSITORY / path).read_bytes())]
    assert undone == []


def only_a_service(path: PurePath) -> bool:
    """Whether a file declares the RPCs of one service and nothing else.

    It grows with each RPC and cannot be two, since protobuf has a service in one file; its
    messages stand in files of their own, which the limit holds.
    """
    if not path.match("*_service.proto"):
        return False
    content = (REPOSITORY / path).read_text("utf-8")
    return re.findall(r"^(service|message|enum|extend) ", content, re.MULTILINE) == ["service"]


def test_no_file_is_longer_than_it_should_be(files: list[PurePath]) -> None:
    written = [
        path
        for path in files
        if path.suffix in SOURCES
        and not path.match("clients/python/src/runstone/*/v1/*")
        and not only_a_service(path)
    ]
    assert written
    lengths = {
        str(path): len((REPOSITORY / path).read_text("utf-8").splitlines()) for path in written
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_file_names_a_registry() -> None:
    assert addresses.faults() == []


@pytest.mark.parametrize("manifest", DISTRIBUTIONS, ids=["server", "client"])
def test_every_dependency_is_pinned(manifest: Path) -> None:
    own = {"runstone", "runstone-server"}
    assert requirements(manifest) - own - set(pins()) == set()


def test_the_distributions_have_one_version() -> None:
    server, client = (tomllib.loads(path.read_text("utf-8"))["project"] for path in DISTRIBUTIONS)
    assert server["version"] == client["version"]
    assert f"runstone=={client['version']}" in server["dependencies"]
    assert f"runstone-server=={server['version']}" in client["optional-dependencies"]["server"]


def test_the_client_stays_light() -> None:
    client = tomllib.loads(DISTRIBUTIONS[1].read_text("utf-8"))["project"]
    assert {requirement_name(item) for item in client["dependencies"]} == LIGHT


def test_every_make_target_has_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert targets == described
    assert {"demo", "test", "lint", "gen", "gen-check", "bench", "help"} <= targets


def test_no_test_is_skipped(files: list[PurePath]) -> None:
    skipping = re.compile(r"pytest\.(?:skip|xfail|importorskip)\b|mark\.(?:skip|xfail)")
    tests = [path for path in files if path.parts[0] == "tests" and path.suffix == ".py"]
    found = [str(path) for path in tests if skipping.search((REPOSITORY / path).read_text("utf-8"))]
    assert found == []


def test_the_generated_code_runs_with_the_oldest_protobuf_asked_for() -> None:
    client = tomllib.loads(DISTRIBUTIONS[1].read_text("utf-8"))["project"]
    asked = next(item for item in client["dependencies"] if item.startswith("protobuf>="))
    floor = asked.removeprefix("protobuf>=")
    # MLflow up to 3.8, which the plug-in is for, takes no protobuf 7.
    assert floor.startswith("6.")
    generated = sorted((REPOSITORY / "clients/python/src/runstone").glob("*/v1/*_pb2.py"))
    versions = {
        path.name: re.findall(
            r"^# Protobuf Python Version: (\S+)$", path.read_text("utf-8"), re.MULTILINE
        )
        for path in generated
    }
    assert len(versions) > 10
    assert {name: found for name, found in versions.items() if found != [floor]} == {}
