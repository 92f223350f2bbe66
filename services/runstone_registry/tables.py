"""The registry's tables.

A model is known by ``model_id``, so that renaming it changes one row. Times are Unix milliseconds.
Text that is compared or sorted has the collation "C" on PostgreSQL, so that both databases and
Python order it alike: by code point.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA = "runstone_registry"

metadata = MetaData(schema=SCHEMA)

ExactText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte."""

# SQLite gives out row ids only for a column declared INTEGER.
AutoId = BigInteger().with_variant(Integer, "sqlite")


def _model_id(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "model_id",
        ExactText,
        ForeignKey(f"{SCHEMA}.registered_models.model_id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )


def _version_id() -> Column[str]:
    return Column(
        "model_version_id",
        ExactText,
        ForeignKey(f"{SCHEMA}.model_versions.model_version_id", ondelete="CASCADE"),
        nullable=False,
    )


registered_models = Table(
    "registered_models",
    metadata,
    Column("model_id", ExactText, primary_key=True),
    Column("name", ExactText, nullable=False),
    Column("description", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("etag", ExactText, nullable=False),
    # Counts on when a version is deleted: numbers are never used again.
    Column("last_version", BigInteger, nullable=False, server_default=text("0")),
    # UTF-8 bytes of all tags; answers are cut by it before the tags are read.
    Column("tags_bytes", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("name", name="uq_registered_models_name"),
    Index("ix_registered_models_updated", "updated_ms", "name"),
)

registered_model_tags = Table(
    "registered_model_tags",
    metadata,
    _model_id(),
    Column("key", ExactText, nullable=False),
    Column("value", ExactText, nullable=False),
    PrimaryKeyConstraint("model_id", "key", name="pk_registered_model_tags"),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model_version_id", ExactText, primary_key=True),
    _model_id(),
    Column("version", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("stage", ExactText, nullable=False),
    Column("status", ExactText, nullable=False),
    Column("status_message", Text, nullable=False),
    # Empty when the version was trained elsewhere.
    Column("run_id", ExactText, nullable=False),
    Column("source", ExactText, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("etag", ExactText, nullable=False),
    Column("tags_bytes", BigInteger, nullable=False, server_default=text("0")),
    # Empty when the artifact service keeps the files.
    Column("external_uri", Text, nullable=False, server_default=text("''")),
    Column("run_link", Text, nullable=False, server_default=text("''")),
    Column("logged_model_id", ExactText, nullable=False, server_default=text("''")),
    UniqueConstraint("model_id", "version", name="uq_model_versions_number"),
    # Latest of a stage, and who is in Production.
    Index("ix_model_versions_stage", "model_id", "stage", "version"),
    Index("ix_model_versions_updated", "updated_ms"),
    Index("ix_model_versions_run", "run_id"),
)

model_version_tags = Table(
    "model_version_tags",
    metadata,
    _version_id(),
    Column("key", ExactText, nullable=False),
    Column("value", ExactText, nullable=False),
    PrimaryKeyConstraint("model_version_id", "key", name="pk_model_version_tags"),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    _model_id(),
    Column("alias", ExactText, nullable=False),
    _version_id(),
    PrimaryKeyConstraint("model_id", "alias", name="pk_model_aliases"),
    Index("ix_model_aliases_version", "model_version_id"),
)

transition_requests = Table(
    "transition_requests",
    metadata,
    Column("sequence", AutoId, Identity(start=1), primary_key=True),
    Column("transition_request_id", ExactText, nullable=False),
    _version_id(),
    Column("stage", ExactText, nullable=False),
    Column("archive_existing_versions", Boolean, nullable=False),
    Column("state", ExactText, nullable=False),
    Column("comment", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("decider", Text, nullable=False),
    Column("decision_comment", Text, nullable=False),
    Column("decided_ms", BigInteger, nullable=False),
    UniqueConstraint("transition_request_id", name="uq_transition_requests_id"),
    Index("ix_transition_requests_version", "model_version_id", "sequence"),
    Index(
        "uq_transition_requests_open",
        "model_version_id",
        "stage",
        unique=True,
        postgresql_where=text("state = 'OPEN'"),
        sqlite_where=text("state = 'OPEN'"),
    ),
    sqlite_autoincrement=True,
)

comments = Table(
    "comments",
    metadata,
    Column("sequence", AutoId, Identity(start=1), primary_key=True),
    Column("comment_id", ExactText, nullable=False),
    _version_id(),
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    UniqueConstraint("comment_id", name="uq_comments_id"),
    Index("ix_comments_version", "model_version_id", "sequence"),
    sqlite_autoincrement=True,
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("event_id", AutoId, Identity(start=1), primary_key=True),
    # No foreign keys: the audit outlives what it tells of.
    Column("model_id", ExactText, nullable=False),
    Column("name", ExactText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("action", ExactText, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # A JSON object of strings.
    Column("details", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Index("ix_audit_events_model", "model_id", "event_id"),
    Index("ix_audit_events_name", "name", "event_id"),
    sqlite_autoincrement=True,
)

create_requests = Table(
    "create_requests",
    metadata,
    Column("request_id", ExactText, primary_key=True),
    Column("digest", ExactText, nullable=False),
    # What was made; no foreign keys: a repeated create must not make it anew once it is deleted.
    Column("model_id", ExactText, nullable=False),
    Column("subject", ExactText, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_create_requests_created", "created_ms"),
)

pending_owners = Table(
    "pending_owners",
    metadata,
    Column("model_version_id", ExactText, primary_key=True),
    # A create holds it; once false, only the sweeper may touch it.
    Column("reserved", Boolean, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_pending_owners_due", "due_ms"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("sequence", AutoId, Identity(start=1), primary_key=True),
    Column("webhook_id", ExactText, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", ExactText, nullable=False),
    Column("status_message", Text, nullable=False),
    # As it was given: it must sign. Who reads this table can sign too.
    Column("secret", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("failing_since_ms", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("resume_ms", BigInteger, nullable=False),
    # Who delivers to it, and until when nobody else does.
    Column("holder", ExactText, nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    UniqueConstraint("webhook_id", name="uq_webhooks_id"),
    sqlite_autoincrement=True,
)

webhook_subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("event", ExactText, nullable=False),
    Column(
        "webhook_id",
        ExactText,
        ForeignKey(f"{SCHEMA}.webhooks.webhook_id", ondelete="CASCADE"),
        nullable=False,
    ),
    PrimaryKeyConstraint("event", "webhook_id", name="pk_webhook_subscriptions"),
    Index("ix_webhook_subscriptions_webhook", "webhook_id"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("sequence", AutoId, Identity(start=1), primary_key=True),
    Column("body", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", ExactText, primary_key=True),
    Column(
        "webhook_id",
        ExactText,
        ForeignKey(f"{SCHEMA}.webhooks.webhook_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column(
        "sequence",
        BigInteger,
        ForeignKey(f"{SCHEMA}.webhook_events.sequence"),
        nullable=False,
    ),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # The next one of a webhook; whether an event has any left; what is too old.
    Index("ix_webhook_deliveries_webhook", "webhook_id", "sequence"),
    Index("ix_webhook_deliveries_due", "webhook_id", "due_ms"),
    Index("ix_webhook_deliveries_event", "sequence"),
    Index("ix_webhook_deliveries_created", "created_ms"),
)
