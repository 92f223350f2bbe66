"""The rows of the artifact service on PostgreSQL and SQLite."""

from __future__ import annotations

from runstone_artifact.sqlstore_files import FileSql
from runstone_artifact.sqlstore_upkeep import UpkeepSql
from runstone_artifact.sqlstore_uploads import UploadSql


class SqlArtifactStore(FileSql, UploadSql, UpkeepSql):
    """``store.ArtifactStore`` on a ``runstone_kit.database.Database``."""

    def ping(self) -> None:
        """See ArtifactStore."""
        self._database.ping()
