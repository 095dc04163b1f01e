"""The tables, once. ``storage/migrations`` brings a database to this shape; a test compares them.

No secret stands in any column in the clear. Lock order in every writing transaction: the
connection's row first, then its credentials, then the rest.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel

from domain.connection import MAX_ALIAS, MAX_SLUG
from domain.status import ConnectionStatus

_STATUSES = ", ".join(f"'{status}'" for status in ConnectionStatus.values())


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def instant(*, nullable: bool = True) -> Any:  # as SQLModel's own Field
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        nullable=nullable,
    )


class ConnectionRow(SQLModel, table=True):
    """A connection: who, where, which status and why. Read by everyone; no secret."""

    __tablename__ = "connections"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="connections_status_known"),
        CheckConstraint(
            f"length(provider_slug) BETWEEN 1 AND {MAX_SLUG}", name="connections_slug_length"
        ),
        CheckConstraint(f"length(alias) <= {MAX_ALIAS}", name="connections_alias_length"),
        Index("connections_by_age", "created_at", "id"),
        Index("connections_by_user", "user_id"),
        Index("connections_by_provider", "provider_slug", "status"),
    )

    id: UUID = Field(primary_key=True)
    user_id: UUID
    provider_id: UUID
    provider_slug: str
    credential_type: str
    alias: str | None = None
    status: str
    reason: str
    status_since: datetime = instant(nullable=False)
    connected_at: datetime | None = instant()
    last_sync_at: datetime | None = instant()
    created_at: datetime = instant(nullable=False)
    updated_at: datetime = instant(nullable=False)
    ended_at: datetime | None = instant()
    """Set once when the end is asked for, never cleared: no lease, claim or sync from then on."""
    reauthorize_by: datetime | None = instant()
    degraded_since: datetime | None = instant()
    degraded_cause: str | None = None
    failures: int = 0
    retry_at: datetime | None = instant()
    receipt: dict[str, object] | None = Field(default=None, sa_column=Column(JSONB))
    event_seq: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )
    event_chain: bytes = Field(
        default=b"", sa_column=Column(LargeBinary, nullable=False, server_default=text("''"))
    )


class CredentialsRow(SQLModel, table=True):
    """Sealed credentials of one connection, their generation, and the claim that fences writers.

    The row exists as long as the connection does; ``sealed`` is NULL before the first
    authorization and after shredding.
    """

    __tablename__ = "credentials"

    connection_id: UUID = Field(primary_key=True, foreign_key="connections.id")
    generation: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    claim: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    lease_until: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("'epoch'")),
    )
    data_key_id: UUID | None = None
    sealed: bytes | None = None
    token_type: str | None = None
    refreshable: bool = False
    sent_at: datetime | None = instant()
    stored_at: datetime | None = instant()
    expires_at: datetime | None = instant()
    refresh_at: datetime | None = instant()
    deadlines: list[dict[str, str]] = Field(
        default_factory=list,
        sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    )


class DataKeyRow(SQLModel, table=True):
    """The wrapped data key of one connection. Deleting this row is what shredding means."""

    __tablename__ = "data_keys"

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(unique=True)
    key_id: str = Field(index=True)
    """Which key of the keyring wraps it."""
    wrapped: bytes
    created_at: datetime = instant(nullable=False)


class JournalRow(SQLModel, table=True):
    """One claim on the credentials and what came of it: the evidence behind every refresh.

    A row without an outcome whose lease has lapsed is a call nobody saw the end of.
    """

    __tablename__ = "refresh_journal"
    __table_args__ = (UniqueConstraint("connection_id", "claim"),)

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    connection_id: UUID
    generation: int = Field(sa_type=BigInteger)
    claim: int = Field(sa_type=BigInteger)
    kind: str
    claimed_at: datetime = instant(nullable=False)
    finished_at: datetime | None = instant()
    outcome: str | None = None
    may_have_acted: bool | None = None
    http_status: int | None = None
    code: str | None = None


class OrphanRow(SQLModel, table=True):
    """Tokens that are not in use: sealed, kept to be tried or revoked.

    Their commit lost the comparison, or a new authorization has taken their place.
    """

    __tablename__ = "orphans"
    __table_args__ = (UniqueConstraint("connection_id", "claim"),)

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(foreign_key="connections.id")
    generation: int = Field(sa_type=BigInteger)
    """The generation they were meant to become, or were."""
    purpose: str
    claim: int = Field(sa_type=BigInteger)
    data_key_id: UUID
    sealed: bytes
    settled: list[dict[str, object]] | None = Field(default=None, sa_column=Column(JSONB))
    """What became of each token at the provider, once nothing of them is left to be revoked."""
    created_at: datetime = instant(nullable=False)


class AttemptRow(SQLModel, table=True):
    """One authorization attempt, from the authorize URL to the exchange of its code."""

    __tablename__ = "authorization_attempts"
    __table_args__ = (
        Index("attempts_by_connection", "connection_id", "created_at"),
        Index("attempts_parked", "code_until", postgresql_where=text("status = 'parked'")),
    )

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(foreign_key="connections.id")
    cause: str = Field(unique=True)
    state_hash: bytes = Field(unique=True)
    data_key_id: UUID
    sealed: bytes
    """State and PKCE verifier."""
    redirect_uri: str
    endpoints: dict[str, str | None] = Field(sa_column=Column(JSONB, nullable=False))
    """Issuer, authorize and token endpoint and client id as they were: the whole tuple, so that
    an entry edited meanwhile cannot redirect the code."""
    status: str
    sealed_code: bytes | None = None
    code_until: datetime | None = instant()
    reason: str | None = None
    generation: int | None = Field(default=None, sa_type=BigInteger)
    """The credentials it made; None: none."""
    created_at: datetime = instant(nullable=False)
    expires_at: datetime = instant(nullable=False)
    finished_at: datetime | None = instant()


class StagedRow(SQLModel, table=True):
    """Imported credentials between the command's acceptance and the connection's birth.

    With the rest of a ``ConnectProvider`` command, so that it can be carried out by whoever finds
    it; for what replaces another there is no such rest.
    """

    __tablename__ = "staged_credentials"
    __table_args__ = (
        Index("staged_keys", "created_at", postgresql_where=text("provider_slug IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(index=True)
    credential_type: str
    data_key_id: UUID
    sealed: bytes
    expires_at: datetime | None = instant()
    created_at: datetime = instant(nullable=False)
    user_id: UUID | None = None
    provider_id: UUID | None = None
    provider_slug: str | None = None
    alias: str | None = None
    generation: int | None = Field(default=None, sa_type=BigInteger)
    """The credentials it became, where it replaced others; None: not used yet."""


class ProviderAppRow(SQLModel, table=True):
    """How our registration at a provider fares: trouble here is the operator's, never a user's."""

    __tablename__ = "provider_apps"

    provider_slug: str = Field(primary_key=True)
    misconfigured_since: datetime | None = instant()
    misconfigured_code: str | None = None


class EventRow(SQLModel, table=True):
    """Audit trail and outbox in one. No foreign key: a refused connect is recorded too.

    Read streams in (xid, position) order below ``pg_snapshot_xmin``: positions alone are not in
    commit order.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("connection_id", "cause"),
        UniqueConstraint("connection_id", "seq"),
        Index("events_in_stream_order", "xid", "position"),
        Index("events_of_users", "user_id", "xid", "position"),
    )

    event_id: UUID = Field(primary_key=True)
    position: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False)
    )
    xid: int | None = Field(
        default=None,
        sa_column=Column(Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    )
    connection_id: UUID
    user_id: UUID
    cause: str = Field(sa_type=Text)
    type: str
    occurred_at: datetime = instant(nullable=False)
    data: dict[str, object] = Field(sa_column=Column(JSONB, nullable=False))
    seq: int | None = Field(default=None, sa_type=BigInteger)
    chain: bytes | None = None


class SyncRow(SQLModel, table=True):
    """How reading a connection's data goes, and the number that fences whoever writes it."""

    __tablename__ = "syncs"

    connection_id: UUID = Field(primary_key=True, foreign_key="connections.id")
    number: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Grows with every attempt: only the newest may write."""
    begun_at: datetime = instant(nullable=False)
    finished_at: datetime | None = instant()
    next_at: datetime | None = instant()
    outcome: str | None = None
    completed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    failures: int = 0
    failing_since: datetime | None = instant()
