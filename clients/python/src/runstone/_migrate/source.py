"""Which source a text means."""

from __future__ import annotations

from runstone._migrate.model import Source, SourceUnreadable
from runstone._migrate.trees import local_path

DATABASES = ("postgresql", "postgres", "sqlite", "mysql", "mariadb", "mssql")


def opened(text: str, artifacts: str | None = None) -> Source:
    """The source: a tracking server's URL, a database's URL, or a folder.

    Args:
        text: As the user wrote it.
        artifacts: Where files of the scheme mlflow-artifacts are, for the latter two.

    Raises:
        SourceUnreadable: it is none of them, or is not there.
    """
    scheme = text.partition("://")[0].partition("+")[0] if "://" in text else ""
    if scheme in ("http", "https"):
        from runstone._migrate.source_rest import RestSource

        return RestSource(text)
    if scheme in DATABASES:
        from runstone._migrate.source_database import DatabaseSource

        return DatabaseSource(text, artifacts)
    folder = local_path(text)
    if folder is None:
        raise SourceUnreadable(
            f"{text!r} must be a tracking server's URL (http://...), a database's"
            " (postgresql://..., sqlite:///..., mysql://...) or a folder mlruns"
        )
    from runstone._migrate.source_folder import FolderSource

    return FolderSource(str(folder), artifacts)
