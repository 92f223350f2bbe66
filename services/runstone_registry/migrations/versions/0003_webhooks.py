"""Webhooks, and what waits for delivery to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "runstone_registry"
EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_webhooks()
    create_outbox()


def text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False)


def exact(name: str, **options: object) -> sa.Column:
    return sa.Column(name, EXACT, **({"nullable": False} | options))


def number(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False)


def sequence() -> sa.Column:
    return sa.Column("sequence", AUTO_ID, sa.Identity(start=1), primary_key=True)


def webhook_id() -> sa.Column:
    return sa.Column(
        "webhook_id",
        EXACT,
        sa.ForeignKey(f"{SCHEMA}.webhooks.webhook_id", ondelete="CASCADE"),
        nullable=False,
    )


def index(name: str, owner: str, *columns: str) -> None:
    op.create_index(name, owner, list(columns), schema=SCHEMA)


def create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sequence(),
        exact("webhook_id"),
        text("name"),
        text("url"),
        text("description"),
        exact("status"),
        text("status_message"),
        text("secret"),
        text("creator"),
        number("created_ms"),
        number("updated_ms"),
        number("failures"),
        number("failing_since_ms"),
        text("last_error"),
        number("resume_ms"),
        exact("holder"),
        number("lease_ms"),
        sa.UniqueConstraint("webhook_id", name="uq_webhooks_id"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_subscriptions",
        exact("event"),
        webhook_id(),
        sa.PrimaryKeyConstraint("event", "webhook_id", name="pk_webhook_subscriptions"),
        schema=SCHEMA,
    )
    index("ix_webhook_subscriptions_webhook", "webhook_subscriptions", "webhook_id")


def create_outbox() -> None:
    op.create_table(
        "webhook_events",
        sequence(),
        text("body"),
        number("created_ms"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        exact("delivery_id", primary_key=True),
        webhook_id(),
        sa.Column(
            "sequence",
            sa.BigInteger,
            sa.ForeignKey(f"{SCHEMA}.webhook_events.sequence"),
            nullable=False,
        ),
        number("created_ms"),
        number("due_ms"),
        sa.Column("attempts", sa.Integer, nullable=False),
        schema=SCHEMA,
    )
    index("ix_webhook_deliveries_webhook", "webhook_deliveries", "webhook_id", "sequence")
    index("ix_webhook_deliveries_due", "webhook_deliveries", "webhook_id", "due_ms")
    index("ix_webhook_deliveries_event", "webhook_deliveries", "sequence")
    index("ix_webhook_deliveries_created", "webhook_deliveries", "created_ms")
