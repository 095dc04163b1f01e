"""The tables of the gateway: who may call it, and users on their way through its pages.

Only hashes of what a caller or a browser must show: no copy of the database opens anything.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from storage.tables import instant


class ApiKeyRow(SQLModel, table=True):
    """A key by which a program calls the gateway. It is shown once, when it is made."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    """Stands in the key itself, in the clear: it is looked up by it, never searched for."""
    role: str
    name: str
    hash: bytes
    """SHA-256 of 256 random bits: nothing that could be guessed."""
    created_at: datetime = instant(nullable=False)
    revoked_at: datetime | None = instant()


class ConnectSessionRow(SQLModel, table=True):
    """A user's way through our pages, from the link to the result: bound to one browser.

    Nothing is exchanged before the user who started is confirmed: by the application, with the
    proof that only this browser brought back to it, or (without a return URL) by the same browser.
    """

    __tablename__ = "connect_sessions"
    __table_args__ = (
        Index("sessions_open", "expires_at", postgresql_where=text("finished_at IS NULL")),
        Index("sessions_over", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    connection_id: UUID = Field(foreign_key="connections.id", index=True)
    link_hash: bytes | None = Field(default=None, unique=True)
    """None: reached by the start page of its attempt."""
    attempt_id: UUID | None = Field(
        default=None, foreign_key="authorization_attempts.id", unique=True
    )
    """None: what its provider works by is given on our own page."""
    staged_id: UUID | None = None
    """Where that is kept, sealed, until the user is confirmed."""
    return_url: str | None = None
    created_at: datetime = instant(nullable=False)
    expires_at: datetime = instant(nullable=False)
    cookie_hash: bytes | None = None
    """The browser that opened it; no other can go on."""
    opened_at: datetime | None = instant()
    proof_hash: bytes | None = None
    proof_until: datetime | None = instant()
    """Until then the application must confirm the user."""
    confirmed_at: datetime | None = instant()
    """From then on what was brought may be used."""
    finished_at: datetime | None = instant()
    reason: str | None = None
    """Why it came to nothing; None: it has not, or it succeeded."""
