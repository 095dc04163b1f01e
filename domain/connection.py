"""The connection itself: one user's grant to one provider, and what may happen to it.

Holds no clock of its own: every change takes the instant it happens ``at`` (default: now), so
that a workflow can replay it. Transitions answer with a ``Result`` and change nothing on failure.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.credentials import EXPIRING_SOON, ProviderCredentials
from domain.errors import ProviderConnectionError
from domain.result import Failure, Result, Success
from domain.status import ConnectionStatus, may_become

MAX_SLUG = 50
MAX_ALIAS = 100
TICK = timedelta(seconds=1)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What no PostgreSQL text can hold: NUL, and half of a surrogate pair."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class ProviderConnection:
    """A user's connection to a provider.

    Attributes:
        id, user_id, provider_id: identities.
        provider_slug: the provider's entry in the catalogue, 1 to 50 characters.
        status: where it is in its life (``domain.status``).
        alias: the user's own name for it, at most 100 characters.
        credentials: sealed; present whenever the status is ACTIVE.
        connected_at: first time it became ACTIVE; never moved afterwards.
        last_sync_at: last time data was read.
        created_at, updated_at: aware instants.

    Raises:
        ValueError: slug or alias of the wrong length; ACTIVE without credentials.
    """

    id: UUID
    user_id: UUID
    provider_id: UUID
    provider_slug: str
    status: ConnectionStatus
    alias: str | None = None
    credentials: ProviderCredentials | None = None
    connected_at: datetime | None = None
    last_sync_at: datetime | None = None
    created_at: datetime = field(default_factory=_now)
    updated_at: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        if not 0 < len(self.provider_slug) <= MAX_SLUG:
            raise ValueError(ProviderConnectionError.INVALID_PROVIDER_SLUG)
        if self.alias is not None and len(self.alias) > MAX_ALIAS:
            raise ValueError(ProviderConnectionError.INVALID_ALIAS)
        if self.status == ConnectionStatus.ACTIVE and self.credentials is None:
            raise ValueError(ProviderConnectionError.ACTIVE_WITHOUT_CREDENTIALS)

    def is_connected(self) -> bool:
        """ACTIVE with credentials; their expiry is not looked at."""
        return self.status == ConnectionStatus.ACTIVE and self.credentials is not None

    def needs_reauthentication(self) -> bool:
        """Whether only the user can bring it back."""
        return self.status in ConnectionStatus.needs_reauth_states()

    def is_credentials_expired(self) -> bool:
        """Whether the credentials have ended; False without credentials."""
        return self.credentials is not None and self.credentials.is_expired()

    def is_credentials_expiring_soon(self, threshold: timedelta = EXPIRING_SOON) -> bool:
        """Whether the credentials end within ``threshold``; False without credentials."""
        return self.credentials is not None and self.credentials.is_expiring_soon(threshold)

    def can_sync(self) -> bool:
        """Whether data can be read now."""
        return self.is_connected() and not self.is_credentials_expired()

    def mark_connected(
        self, credentials: ProviderCredentials | None, *, at: datetime | None = None
    ) -> Result[None, str]:
        """Authorized, for the first time or again."""
        if credentials is None:
            return Failure(error=ProviderConnectionError.CREDENTIALS_REQUIRED)
        if not may_become(self.status, ConnectionStatus.ACTIVE):
            return Failure(error=ProviderConnectionError.CANNOT_TRANSITION_TO_ACTIVE)
        self.status = ConnectionStatus.ACTIVE
        self.credentials = credentials
        moment = self._touch(at)
        self.connected_at = self.connected_at or moment
        return Success(value=None)

    def mark_failed(self, *, at: datetime | None = None) -> Result[None, str]:
        """The first authorization did not succeed."""
        return self._become(
            ConnectionStatus.FAILED, ProviderConnectionError.CANNOT_TRANSITION_TO_FAILED, at
        )

    def mark_expired(self, *, at: datetime | None = None) -> Result[None, str]:
        """The grant lapsed; the credentials are kept as they are."""
        return self._become(
            ConnectionStatus.EXPIRED, ProviderConnectionError.CANNOT_TRANSITION_TO_EXPIRED, at
        )

    def mark_revoked(self, *, at: datetime | None = None) -> Result[None, str]:
        """Access was taken away; the credentials are kept until they are revoked and shredded."""
        return self._become(
            ConnectionStatus.REVOKED, ProviderConnectionError.CANNOT_TRANSITION_TO_REVOKED, at
        )

    def mark_disconnected(self, *, at: datetime | None = None) -> Result[None, str]:
        """Ended for good, from any status, as often as it is asked for."""
        self.status = ConnectionStatus.DISCONNECTED
        self.credentials = None
        self._touch(at)
        return Success(value=None)

    def update_credentials(
        self, credentials: ProviderCredentials | None, *, at: datetime | None = None
    ) -> Result[None, str]:
        """Refreshed, or authorized again while still ACTIVE."""
        if credentials is None:
            return Failure(error=ProviderConnectionError.CREDENTIALS_REQUIRED)
        if self.status != ConnectionStatus.ACTIVE:
            return Failure(error=ProviderConnectionError.NOT_CONNECTED)
        self.credentials = credentials
        self._touch(at)
        return Success(value=None)

    def record_sync(self, *, at: datetime | None = None) -> Result[None, str]:
        """Data was read."""
        if self.status != ConnectionStatus.ACTIVE:
            return Failure(error=ProviderConnectionError.NOT_CONNECTED)
        self.last_sync_at = self._touch(at)
        return Success(value=None)

    def _become(
        self, target: ConnectionStatus, refusal: str, at: datetime | None
    ) -> Result[None, str]:
        if not may_become(self.status, target):
            return Failure(error=refusal)
        self.status = target
        self._touch(at)
        return Success(value=None)

    def _touch(self, at: datetime | None) -> datetime:
        self.updated_at = at or _later_than(self.updated_at)
        return self.updated_at


def _later_than(before: datetime) -> datetime:
    """Now, but later: changes within one tick of the clock still move ``updated_at``.

    Also after a clock that was set back a little; a lot, and it is the clock that is believed.
    """
    moment = _now()
    if before.tzinfo is not None and timedelta(0) <= before - moment < TICK:
        return before + timedelta(microseconds=1)
    return moment


def provider_id_of(slug: str) -> UUID:
    """A provider's id where none is given: the same for the same slug, everywhere."""
    return uuid5(NAMESPACE_URL, f"moorline:provider:{slug}")


def storable(text: str) -> str:
    """The text with a mark in the place of what no PostgreSQL text can hold."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def is_valid_slug(slug: str) -> bool:
    """Whether ``slug`` may be asked for: the entity's length, and nothing that cannot be stored."""
    return 0 < len(slug) <= MAX_SLUG and not _UNSTORABLE.search(slug)


def is_valid_alias(alias: str | None) -> bool:
    """Whether ``alias`` may be asked for, by the same rule; None is no alias."""
    return alias is None or (len(alias) <= MAX_ALIAS and not _UNSTORABLE.search(alias))
