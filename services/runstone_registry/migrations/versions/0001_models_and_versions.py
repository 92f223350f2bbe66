"""Models, versions, aliases, requests, comments, audit, and what creates leave behind."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "runstone_registry"
EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_models()
    create_versions()
    create_transition_requests()
    create_comments()
    create_audit()
    create_outboxes()


def table(name: str, *columns: object, **options: object) -> None:
    op.create_table(name, *columns, schema=SCHEMA, **options)


def index(name: str, owner: str, columns: list[str], **options: object) -> None:
    op.create_index(name, owner, columns, schema=SCHEMA, **options)


def model_id() -> sa.Column:
    return sa.Column(
        "model_id",
        EXACT,
        sa.ForeignKey(f"{SCHEMA}.registered_models.model_id", ondelete="CASCADE"),
        nullable=False,
    )


def version_id() -> sa.Column:
    return sa.Column(
        "model_version_id",
        EXACT,
        sa.ForeignKey(f"{SCHEMA}.model_versions.model_version_id", ondelete="CASCADE"),
        nullable=False,
    )


def text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False)


def exact(name: str, **options: object) -> sa.Column:
    return sa.Column(name, EXACT, **({"nullable": False} | options))


def number(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, **options)


def create_models() -> None:
    table(
        "registered_models",
        exact("model_id", primary_key=True),
        exact("name"),
        text("description"),
        text("creator"),
        number("created_ms"),
        number("updated_ms"),
        exact("etag"),
        number("last_version", server_default=sa.text("0")),
        number("tags_bytes", server_default=sa.text("0")),
        sa.UniqueConstraint("name", name="uq_registered_models_name"),
    )
    index("ix_registered_models_updated", "registered_models", ["updated_ms", "name"])
    table(
        "registered_model_tags",
        model_id(),
        exact("key"),
        exact("value"),
        sa.PrimaryKeyConstraint("model_id", "key", name="pk_registered_model_tags"),
    )


def create_versions() -> None:
    table(
        "model_versions",
        exact("model_version_id", primary_key=True),
        model_id(),
        number("version"),
        text("description"),
        text("creator"),
        exact("stage"),
        exact("status"),
        text("status_message"),
        exact("run_id"),
        exact("source"),
        number("created_ms"),
        number("updated_ms"),
        exact("etag"),
        number("tags_bytes", server_default=sa.text("0")),
        sa.UniqueConstraint("model_id", "version", name="uq_model_versions_number"),
    )
    index("ix_model_versions_stage", "model_versions", ["model_id", "stage", "version"])
    index("ix_model_versions_updated", "model_versions", ["updated_ms"])
    index("ix_model_versions_run", "model_versions", ["run_id"])
    table(
        "model_version_tags",
        version_id(),
        exact("key"),
        exact("value"),
        sa.PrimaryKeyConstraint("model_version_id", "key", name="pk_model_version_tags"),
    )
    table(
        "model_aliases",
        model_id(),
        exact("alias"),
        version_id(),
        sa.PrimaryKeyConstraint("model_id", "alias", name="pk_model_aliases"),
    )
    index("ix_model_aliases_version", "model_aliases", ["model_version_id"])


def create_transition_requests() -> None:
    table(
        "transition_requests",
        sa.Column("sequence", AUTO_ID, sa.Identity(start=1), primary_key=True),
        exact("transition_request_id"),
        version_id(),
        exact("stage"),
        sa.Column("archive_existing_versions", sa.Boolean, nullable=False),
        exact("state"),
        text("comment"),
        text("creator"),
        number("created_ms"),
        text("decider"),
        text("decision_comment"),
        number("decided_ms"),
        sa.UniqueConstraint("transition_request_id", name="uq_transition_requests_id"),
        sqlite_autoincrement=True,
    )
    index("ix_transition_requests_version", "transition_requests", ["model_version_id", "sequence"])
    index(
        "uq_transition_requests_open",
        "transition_requests",
        ["model_version_id", "stage"],
        unique=True,
        postgresql_where=sa.text("state = 'OPEN'"),
        sqlite_where=sa.text("state = 'OPEN'"),
    )


def create_comments() -> None:
    table(
        "comments",
        sa.Column("sequence", AUTO_ID, sa.Identity(start=1), primary_key=True),
        exact("comment_id"),
        version_id(),
        text("text"),
        text("author"),
        number("created_ms"),
        number("updated_ms"),
        sa.UniqueConstraint("comment_id", name="uq_comments_id"),
        sqlite_autoincrement=True,
    )
    index("ix_comments_version", "comments", ["model_version_id", "sequence"])


def create_audit() -> None:
    table(
        "audit_events",
        sa.Column("event_id", AUTO_ID, sa.Identity(start=1), primary_key=True),
        exact("model_id"),
        exact("name"),
        number("version"),
        exact("action"),
        text("actor"),
        number("created_ms"),
        text("details"),
        text("comment"),
        text("request_id"),
        sqlite_autoincrement=True,
    )
    index("ix_audit_events_model", "audit_events", ["model_id", "event_id"])
    index("ix_audit_events_name", "audit_events", ["name", "event_id"])


def create_outboxes() -> None:
    table(
        "create_requests",
        exact("request_id", primary_key=True),
        exact("digest"),
        exact("model_id"),
        exact("subject"),
        number("created_ms"),
    )
    index("ix_create_requests_created", "create_requests", ["created_ms"])
    table(
        "pending_owners",
        exact("model_version_id", primary_key=True),
        sa.Column("reserved", sa.Boolean, nullable=False),
        number("due_ms"),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    index("ix_pending_owners_due", "pending_owners", ["due_ms"])
