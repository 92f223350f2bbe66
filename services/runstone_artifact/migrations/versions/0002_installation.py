"""Which installation this database belongs to."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "runstone_artifact"
EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    table = op.create_table(
        "installation",
        sa.Column("id", EXACT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        schema=SCHEMA,
    )
    # Here and not at the first use: whoever asks finds it, and replicas find the same.
    op.bulk_insert(table, [{"id": uuid.uuid4().hex}])
