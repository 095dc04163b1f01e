"""The state machine of a connection: its six statuses, who may follow whom, and why.

The table stands once, here. ``ProviderConnection`` and the workflow both read it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ConnectionStatus(StrEnum):
    """Where a connection is in its life."""

    PENDING = "pending"
    """Authorization has begun and is not finished."""
    ACTIVE = "active"
    """Usable: credentials are present and kept fresh."""
    EXPIRED = "expired"
    """The grant lapsed and cannot be refreshed; the user must act."""
    REVOKED = "revoked"
    """The user or the provider took access away."""
    FAILED = "failed"
    """An authorization attempt failed; another may succeed."""
    DISCONNECTED = "disconnected"
    """The user removed it. The only terminal status."""

    @classmethod
    def values(cls) -> list[str]:
        """All statuses as they are stored and sent."""
        return [status.value for status in cls]

    @classmethod
    def is_valid(cls, value: str) -> bool:
        """Whether ``value`` is a status, letter case included."""
        return value in cls.values()

    @classmethod
    def active_states(cls) -> list["ConnectionStatus"]:
        """Statuses in which data can be read."""
        return [cls.ACTIVE]

    @classmethod
    def needs_reauth_states(cls) -> list["ConnectionStatus"]:
        """Statuses that only the user can leave, by authorizing again."""
        return [cls.EXPIRED, cls.REVOKED, cls.FAILED]

    @classmethod
    def terminal_states(cls) -> list["ConnectionStatus"]:
        """Statuses that nothing leaves."""
        return [cls.DISCONNECTED]


_S = ConnectionStatus

ALLOWED_FROM: Mapping[ConnectionStatus, frozenset[ConnectionStatus]] = MappingProxyType(
    {
        _S.PENDING: frozenset(),
        _S.ACTIVE: frozenset({_S.PENDING, _S.EXPIRED, _S.REVOKED, _S.FAILED}),
        _S.FAILED: frozenset({_S.PENDING}),
        _S.EXPIRED: frozenset({_S.ACTIVE}),
        _S.REVOKED: frozenset({_S.ACTIVE}),
        _S.DISCONNECTED: frozenset(_S),
    }
)
"""Target status -> the statuses it may be reached from."""


def may_become(current: ConnectionStatus, target: ConnectionStatus) -> bool:
    """Whether a connection in ``current`` may change to ``target``."""
    return current in ALLOWED_FROM[target]


class StatusReason(StrEnum):
    """Why a connection has its status, or why an authorization attempt failed.

    A closed list of our own words: nothing a provider wrote ever stands here.
    """

    AUTHORIZATION_STARTED = "authorization_started"
    AUTHORIZED = "authorized"
    IMPORTED = "imported"
    USER_REVOKED = "user_revoked"
    PROVIDER_REVOKED = "provider_revoked"
    GRANT_EXPIRED = "grant_expired"
    REFRESH_TOKEN_EXPIRED = "refresh_token_expired"
    CONSENT_EXPIRED = "consent_expired"
    NOT_REFRESHABLE = "not_refreshable"
    LOST_ROTATION = "lost_rotation"
    AUTHORIZATION_DENIED = "authorization_denied"
    AUTHORIZATION_REFUSED = "authorization_refused"
    AUTHORIZATION_TIMEOUT = "authorization_timeout"
    EXCHANGE_INTERRUPTED = "exchange_interrupted"
    UNUSABLE_ANSWER = "unusable_answer"
    APP_MISCONFIGURED = "app_misconfigured"
    USER_DISCONNECTED = "user_disconnected"
    OPERATOR_CANCELLED = "operator_cancelled"
    ABANDONED = "abandoned"
    KEY_REFUSED = "key_refused"
    USER_NOT_CONFIRMED = "user_not_confirmed"


FAILS_PENDING = frozenset(
    {
        StatusReason.AUTHORIZATION_DENIED,
        StatusReason.AUTHORIZATION_REFUSED,
        StatusReason.UNUSABLE_ANSWER,
    }
)
"""Failures of an attempt after which a PENDING connection is FAILED. After the others (ours, or
passing) it stays PENDING: the user may try again until the authorization window closes."""
