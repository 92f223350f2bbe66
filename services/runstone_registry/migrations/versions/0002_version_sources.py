"""Where a version's files are when they are elsewhere, a page about its run, its logged model."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "runstone_registry"
EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
EMPTY = sa.text("''")


def upgrade() -> None:
    schema = SCHEMA if op.get_bind().dialect.name == "postgresql" else None
    # With defaults: the release before this one stores versions without them.
    for column in (
        sa.Column("external_uri", sa.Text, nullable=False, server_default=EMPTY),
        sa.Column("run_link", sa.Text, nullable=False, server_default=EMPTY),
        sa.Column("logged_model_id", EXACT, nullable=False, server_default=EMPTY),
    ):
        op.add_column("model_versions", column, schema=schema)
