"""Tables of the artifact service.

A file is an entry that points to a blob (bytes by digest), which lies in an object. The foreign key
from entries to blobs is what makes garbage collection safe: a blob that is referred to cannot go.

Times are Unix milliseconds. Text has the collation "C" on PostgreSQL, so that both databases and
Python order it alike: by code point.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

SCHEMA = "runstone_artifact"

metadata = MetaData(schema=SCHEMA)

ExactText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte."""

PENDING = "pending"
"""The object is about to be written; nothing refers to it yet."""
STORED = "stored"
"""The object is written, and blobs lie in it."""
DOOMED = "doomed"
"""No blob lies in the object any more; its bytes are about to go."""

installation = Table(
    "installation",
    metadata,
    Column("id", ExactText, nullable=False),
    PrimaryKeyConstraint("id", name="pk_installation"),
)
"""One row, made by the migration: whose the object store is (``ObjectStore.claim``)."""

owners = Table(
    "owners",
    metadata,
    Column("owner_kind", ExactText, nullable=False),
    Column("owner_id", ExactText, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("create_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_kind", "owner_id", name="pk_owners"),
)
"""Writers of one owner take its row's lock in turn: paths are checked and made in one step."""

objects = Table(
    "objects",
    metadata,
    Column("object_key", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", ExactText, nullable=False),
    Column("create_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("object_key", name="pk_objects"),
    Index("ix_objects_created", "create_ms"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("object_key", ForeignKey(objects.c.object_key), nullable=False),
    Column("object_offset", BigInteger, nullable=False),
    Column("whole", Boolean, nullable=False),
    # What a scrub or a reader found wrong with the bytes; nothing refers to such a blob anew.
    Column("damage", Text),
    # NULL where the service did not compute it yet; the scrub does.
    Column("blake3", Text),
    PrimaryKeyConstraint("sha256", name="pk_blobs"),
    Index("ix_blobs_object", "object_key"),
)

entries = Table(
    "entries",
    metadata,
    Column("owner_kind", ExactText, nullable=False),
    Column("owner_id", ExactText, nullable=False),
    Column("path", ExactText, nullable=False),
    # The path with U+0001 for "/": it sorts a directory's files right behind the directory.
    Column("tree_path", ExactText, nullable=False),
    Column("sha256", ForeignKey(blobs.c.sha256), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("create_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_kind", "owner_id", "path", name="pk_entries"),
    Index("ix_entries_tree", "owner_kind", "owner_id", "tree_path", unique=True),
    Index("ix_entries_sha256", "sha256"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", ExactText, nullable=False),
    Column("owner_kind", ExactText, nullable=False),
    Column("owner_id", ExactText, nullable=False),
    Column("path", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", ExactText, nullable=False),
    Column("object_key", ExactText, nullable=False),
    Column("presigned", Boolean, nullable=False),
    Column("part_size", BigInteger, nullable=False),
    Column("multipart_id", Text, nullable=False),
    # Of parts that the client cuts; the size is 0 until they are there.
    Column("part_count", Integer, nullable=False, server_default="0"),
    Column("durable_offset", BigInteger, nullable=False),
    Column("found_sha256", ExactText, nullable=False),
    Column("found_blake3", Text),
    # Set once it is committed; the row answers repeated commits for a day.
    Column("commit_ms", BigInteger),
    Column("update_ms", BigInteger, nullable=False),
    # Who writes to it now, and until when that holds without a sign of life.
    Column("holder", ExactText, nullable=False),
    Column("held_until_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("upload_id", name="pk_uploads"),
    Index("ix_uploads_updated", "update_ms"),
    Index("ix_uploads_object", "object_key"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", ForeignKey(uploads.c.upload_id, ondelete="CASCADE"), nullable=False),
    Column("part_number", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    PrimaryKeyConstraint("upload_id", "part_number", name="pk_upload_parts"),
)
