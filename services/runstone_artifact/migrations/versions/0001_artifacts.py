"""Owners, objects, blobs, entries and uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "runstone_artifact"
EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    create_owners()
    create_objects_and_blobs()
    create_entries()
    create_uploads()


def create_owners() -> None:
    op.create_table(
        "owners",
        sa.Column("owner_kind", EXACT, nullable=False),
        sa.Column("owner_id", EXACT, nullable=False),
        sa.Column("sealed", sa.Boolean, nullable=False),
        sa.Column("create_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_id", name="pk_owners"),
        schema=SCHEMA,
    )


def create_objects_and_blobs() -> None:
    op.create_table(
        "objects",
        sa.Column("object_key", EXACT, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", EXACT, nullable=False),
        sa.Column("create_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("object_key", name="pk_objects"),
        schema=SCHEMA,
    )
    op.create_index("ix_objects_created", "objects", ["create_ms"], schema=SCHEMA)
    op.create_table(
        "blobs",
        sa.Column("sha256", EXACT, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("object_key", EXACT, nullable=False),
        sa.Column("object_offset", sa.BigInteger, nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blobs"),
        sa.ForeignKeyConstraint(["object_key"], [f"{SCHEMA}.objects.object_key"]),
        schema=SCHEMA,
    )
    op.create_index("ix_blobs_object", "blobs", ["object_key"], schema=SCHEMA)


def create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("owner_kind", EXACT, nullable=False),
        sa.Column("owner_id", EXACT, nullable=False),
        sa.Column("path", EXACT, nullable=False),
        sa.Column("tree_path", EXACT, nullable=False),
        sa.Column("sha256", EXACT, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("create_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_id", "path", name="pk_entries"),
        sa.ForeignKeyConstraint(["sha256"], [f"{SCHEMA}.blobs.sha256"]),
        schema=SCHEMA,
    )
    tree = ["owner_kind", "owner_id", "tree_path"]
    op.create_index("ix_entries_tree", "entries", tree, unique=True, schema=SCHEMA)
    op.create_index("ix_entries_sha256", "entries", ["sha256"], schema=SCHEMA)


def create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("upload_id", EXACT, nullable=False),
        sa.Column("owner_kind", EXACT, nullable=False),
        sa.Column("owner_id", EXACT, nullable=False),
        sa.Column("path", EXACT, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", EXACT, nullable=False),
        sa.Column("object_key", EXACT, nullable=False),
        sa.Column("presigned", sa.Boolean, nullable=False),
        sa.Column("part_size", sa.BigInteger, nullable=False),
        sa.Column("multipart_id", sa.Text, nullable=False),
        sa.Column("durable_offset", sa.BigInteger, nullable=False),
        sa.Column("found_sha256", EXACT, nullable=False),
        sa.Column("commit_ms", sa.BigInteger),
        sa.Column("update_ms", sa.BigInteger, nullable=False),
        sa.Column("holder", EXACT, nullable=False),
        sa.Column("held_until_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name="pk_uploads"),
        schema=SCHEMA,
    )
    op.create_index("ix_uploads_updated", "uploads", ["update_ms"], schema=SCHEMA)
    op.create_index("ix_uploads_object", "uploads", ["object_key"], schema=SCHEMA)
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", EXACT, nullable=False),
        sa.Column("part_number", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "part_number", name="pk_upload_parts"),
        sa.ForeignKeyConstraint(["upload_id"], [f"{SCHEMA}.uploads.upload_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
