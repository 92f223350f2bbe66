"""Generates the Python code of the protos, or checks that what is committed is what they give.

Usage: python protos/generate.py [--check]

For every folder protos/runstone/<service>/v1 the folder clients/python/src/runstone/<service>/v1
is owned by this script: messages, stubs, their types, and a copy of service_config.json.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
OUTPUT = PROTOS.parent / "clients" / "python" / "src"
COPIED = "service_config.json"


def packages() -> list[Path]:
    """The folders that hold protos, relative to the proto root."""
    return sorted({path.parent.relative_to(PROTOS) for path in PROTOS.rglob("*.proto")})


def generate(output: Path) -> None:
    """Writes the code of all protos below `output`; exits with protoc's message on an error."""
    binaries = Path(sys.executable).parent
    sources = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    output.mkdir(parents=True, exist_ok=True)
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={Path(grpc_tools.__file__).parent / '_proto'}",
            f"--plugin=protoc-gen-mypy={binaries / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={binaries / 'protoc-gen-mypy_grpc'}",
            f"--python_out={output}",
            f"--grpc_python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--mypy_grpc_out=quiet:{output}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(f"protoc failed with status {status}")
    for package in packages():
        (output / package / "__init__.py").touch()
        if (PROTOS / package / COPIED).exists():
            shutil.copyfile(PROTOS / package / COPIED, output / package / COPIED)
        drop_empty_stubs(output / package)


def drop_empty_stubs(folder: Path) -> None:
    """Removes the *_pb2_grpc files of protos without a service: protoc writes them regardless."""
    for path in folder.glob("*_pb2_grpc.py"):
        if "def add_" not in path.read_text(encoding="utf-8"):
            path.unlink()
            path.with_suffix(".pyi").unlink(missing_ok=True)


def generated(root: Path) -> set[Path]:
    """Every generated file below `root`, relative to it; also of protos that are gone."""
    return {
        path.relative_to(root)
        for path in root.glob("runstone/*/v1/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def check() -> int:
    """Returns the number of committed files that differ, are missing, or are stale."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        wanted, present = generated(fresh), generated(OUTPUT)
        problems = [f"missing: {path}" for path in sorted(wanted - present)]
        problems += [f"stale: {path}" for path in sorted(present - wanted)]
        problems += [
            f"differs: {path}"
            for path in sorted(wanted & present)
            if not filecmp.cmp(fresh / path, OUTPUT / path, shallow=False)
        ]
    for problem in problems:
        print(problem)
    if problems:
        print("The generated code is not that of the protos: run `make gen` and commit the result.")
    return len(problems)


def replace_committed() -> None:
    """Puts new code in the place of the old; a proto that does not compile leaves the old."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        for path in generated(OUTPUT) - generated(fresh):
            (OUTPUT / path).unlink()
        # File by file: runstone/<service>/ beside v1/ holds hand-written modules.
        for path in generated(fresh):
            (OUTPUT / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh / path, OUTPUT / path)
    for package in packages():
        (OUTPUT / package.parent / "__init__.py").touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    if parser.parse_args().check:
        sys.exit(1 if check() else 0)
    replace_committed()
    print(f"generated {len(generated(OUTPUT))} files below {OUTPUT.relative_to(PROTOS.parent)}")


if __name__ == "__main__":
    main()
