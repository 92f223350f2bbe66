"""`runstone artifacts archive`, `restore`, `verify`: many files as one, and whether all is well."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from runstone.cli._format import counted, size_text
from runstone.cli._place import Place, place, target_argument
from runstone.cli._session import Command, Session
from runstone.cli._table import Column

PROBLEM_COLUMNS = [
    Column("PATH", lambda row: row["path"]),
    Column("PROBLEM", lambda row: row["problem"], fold=True),
]

max_bytes_option = click.option(
    "--max-unpacked-bytes",
    "unpacked",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="What an archive may hold unpacked. Default: 100 times its size, and 100 MB.",
)


def add_to(group: click.Group) -> None:
    """Put these commands into the group of artifacts."""
    for each in (archive, restore, verify):
        group.add_command(each)


@click.command(cls=Command)
@target_argument
@click.argument("path", default="")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write; - is standard output. Default: NAME.tar.gz here.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["tar.gz", "zip"]),
    help="Default: as FILE is called, else tar.gz.",
)
@click.pass_obj
def archive(session: Session, target: str, path: str, output: str | None, kind: str | None) -> None:
    """Write files of a run or a model version to one archive.

    Paths in it begin below TARGET's. The same files make the same archive, byte by byte: it tells
    nothing of when and where it was made. Nothing is held in memory or on the disk but the archive,
    which is there when it is whole, and not before.
    """
    from runstone._archives import writing
    from runstone._transfer import list_files, stream_file
    from runstone._transfer.progress import bar

    where = place(session, target)
    chosen = where.below(path)
    stub = session.service("artifact")
    files = sorted(list_files(stub, where.owner, chosen), key=lambda file: file.path)
    if not files:
        raise click.ClickException(f"{where.uri_of(chosen)} has no files")
    name = output or f"{_name(where, chosen)}.{kind or 'tar.gz'}"
    form = kind or ("zip" if name.lower().endswith(".zip") else "tar.gz")
    size = sum(file.size for file in files)
    with (
        bar(f"archiving {where.uri_of(chosen)}", size) as progress,
        written(name) as target_file,
        writing.opened(target_file, "zip" if form == "zip" else "tar.gz") as writer,
    ):
        for file in files:

            def blocks(path: str = file.path, sha256: str = file.sha256) -> Iterator[Any]:
                for block in stream_file(stub, where.owner, path, sha256):
                    yield block
                    progress.advance(len(block))

            writer.add(_inside(file.path, chosen), file.size, blocks())
    if name != "-":
        said = f"Wrote {counted(len(files), 'file')} ({size_text(size)}) to {name}."
        session.answer({"archive": name, "files": len(files), "size": size}, said)


def _name(where: Place, chosen: str) -> str:
    last = chosen.rpartition("/")[2]
    owner = where.uri.partition(":/")[2].replace("/", "-")
    return f"{owner}-{last}" if last else owner


def _inside(path: str, chosen: str) -> str:
    """A path below the chosen one; of one file its name."""
    return path.removeprefix(f"{chosen}/") if path != chosen else path.rpartition("/")[2]


@contextmanager
def written(name: str) -> Iterator[IO[bytes]]:
    """A file to write, which takes its name when it is whole; `-` is standard output."""
    if name == "-":
        if sys.stdout.isatty():
            raise click.UsageError("an archive is nothing for a terminal: say --output FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@click.command(cls=Command)
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False))
@target_argument
@max_bytes_option
@click.pass_obj
def restore(session: Session, archive: Path, target: str, unpacked: int | None) -> None:
    """Put the files of an archive into a run: of `archive`, or any tar.gz, tar or zip.

    The whole archive is looked through before its first file is sent. One with links, paths that
    lead elsewhere, two files of one name, or more bytes than it can honestly hold is refused. Files
    that are there already are not sent again; others of the same path are replaced.
    """
    from runstone._archives.restoring import restore as put_back

    where = place(session, target)
    if where.owner.model_version_id:
        raise click.UsageError(
            "a version's files are final; `runstone models register --from` makes a new version"
        )
    files, sent = put_back(session.service("artifact"), where.owner, archive, where.path, unpacked)
    session.answer(
        {"uri": where.uri_of(where.path), "files": files, "sent": sent},
        f"Restored {counted(files, 'file')} to {where.uri_of(where.path)}; {sent} sent,"
        f" {files - sent} there already.",
    )


@click.command(cls=Command)
@target_argument
@click.argument("local", required=False, type=click.Path(path_type=Path))
@click.pass_context
def verify(ctx: click.Context, target: str, local: Path | None) -> None:
    """Compare stored files with their digests; exit code 1 when some differ.

    Without LOCAL their bytes are read from the store and compared with what was recorded when they
    were logged. LOCAL is a folder, a file or an archive: it is compared with the record, and
    nothing is transferred.
    """
    from runstone._archives.verifying import verify_local, verify_stored
    from runstone._transfer import list_files

    session: Session = ctx.obj
    where = place(session, target)
    stub = session.service("artifact")
    files = {file.path: file for file in list_files(stub, where.owner, where.path)}
    if local is None:
        verified = verify_stored(stub, where.owner, files)
    else:
        verified = verify_local(files, local, where.path)
    problems = [{"path": path, "problem": verified.problems[path]} for path in verified.problems]
    if session.as_json:
        facts = {"checked": verified.checked, "size": verified.size, "problems": problems}
        session.answer(facts, "")
    else:
        if problems:
            session.table(problems, PROBLEM_COLUMNS)
        click.echo(
            f"Compared {counted(verified.checked, 'file')} ({size_text(verified.size)}):"
            f" {counted(len(problems), 'problem')}."
        )
    ctx.exit(1 if problems else 0)
