"""What happened to a connection, as immutable facts.

Written in the same transaction as the change they tell of, and read as audit trail and outbox.
Credentials are never in an event, nor is any text a provider sent.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from uuid6 import uuid7


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """Base of all events: a time-ordered id (UUID v7) and the aware instant it happened."""

    event_id: UUID = field(default_factory=uuid7)
    occurred_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, kw_only=True)
class _OfProvider(DomainEvent):
    user_id: UUID
    provider_id: UUID
    provider_slug: str


@dataclass(frozen=True, kw_only=True)
class _OfConnection(DomainEvent):
    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str


@dataclass(frozen=True, kw_only=True)
class ProviderConnectionAttempted(_OfProvider):
    """A user, or an application for them, began to connect."""


@dataclass(frozen=True, kw_only=True)
class ProviderConnectionSucceeded(_OfProvider):
    """The connection is ACTIVE: for the first time, or again after it had lapsed."""

    connection_id: UUID


@dataclass(frozen=True, kw_only=True)
class ProviderConnectionFailed(_OfProvider):
    """An attempt to connect came to nothing."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ProviderDisconnectionAttempted(_OfConnection):
    """The end was asked for: from now on no lease, no claim, no sync."""


@dataclass(frozen=True, kw_only=True)
class ProviderDisconnectionSucceeded(_OfConnection):
    """The connection is DISCONNECTED and its secrets are gone."""


@dataclass(frozen=True, kw_only=True)
class ProviderDisconnectionFailed(_OfConnection):
    """Some token could not be revoked at the provider; the receipt says which."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ProviderTokenRefreshAttempted(_OfConnection):
    """A refresh holds the claim and is about to call the provider."""


@dataclass(frozen=True, kw_only=True)
class ProviderTokenRefreshSucceeded(_OfConnection):
    """New tokens are stored."""


@dataclass(frozen=True, kw_only=True)
class ProviderTokenRefreshFailed(_OfConnection):
    """A refresh did not yield tokens; the user need not act unless it says so."""

    reason: str
    needs_user_action: bool = False


@dataclass(frozen=True, kw_only=True)
class ConnectionExpired(_OfConnection):
    """The connection is EXPIRED; the user must authorize again."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ConnectionRevoked(_OfConnection):
    """The connection is REVOKED, by the user or by the provider."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ConnectionReauthorized(_OfConnection):
    """New tokens replaced the old ones while the connection stayed ACTIVE."""


@dataclass(frozen=True, kw_only=True)
class AuthorizationCallbackRejected(_OfConnection):
    """A browser came back with an answer that was not for it, or not from where it should be."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ConnectionRenamed(_OfConnection):
    """The user's name for the connection changed."""


@dataclass(frozen=True, kw_only=True)
class ConnectionDegraded(_OfConnection):
    """Refreshing fails for a passing reason; the connection stays ACTIVE."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ConnectionRecovered(_OfConnection):
    """Refreshing works again."""


@dataclass(frozen=True, kw_only=True)
class ConnectionExpiring(_OfConnection):
    """A known end is near, and only the user can move it: 14, 7, 3 or 1 days before."""

    reason: str
    days_left: int
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class DataSynced(_OfConnection):
    """All data there was has been read.

    ``transactions`` counts those that were new to the attempt that came to the end; what one that
    was cut off before had stored is not among them.
    """

    accounts: int
    holdings: int
    transactions: int


@dataclass(frozen=True, kw_only=True)
class DataSyncFailed(_OfConnection):
    """Reading data fails since now; it is tried again, and ``DataSynced`` says when it works."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class CredentialsShredded(_OfConnection):
    """The data key is destroyed: nothing sealed under it can be opened again."""
