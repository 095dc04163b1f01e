"""How reading a connection's data went, and when it is read next."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.schedule import fraction, retry_delay

SPREAD = 0.1
"""The share of the interval over which connections are spread, each with its own part of it."""


class SyncOutcome(StrEnum):
    """What came of reading a connection's data once."""

    SYNCED = "synced"
    """Everything there was has been read and stored."""
    UNAUTHORIZED = "unauthorized"
    """The provider does not take the token: it is refreshed, or the key verified, first."""
    TRANSIENT = "transient"
    """The provider cannot be reached, is overloaded or talks nonsense."""
    RATE_LIMITED = "rate_limited"
    """Asked to come back later."""
    FORBIDDEN = "forbidden"
    """The token is good, but does not allow this: the scope, or the user's plan, is too small."""
    UNREADABLE = "unreadable"
    """The answer is not what the reader knows, or our own credentials do not open."""
    UNSUPPORTED = "unsupported"
    """Nothing is read from this provider."""
    STOPPED = "stopped"
    """The connection has been revoked, disconnected or taken over meanwhile."""
    UNAVAILABLE = "unavailable"
    """Our own database or workers were away."""

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong that has to be tried again."""
        return self not in {SyncOutcome.SYNCED, SyncOutcome.UNSUPPORTED, SyncOutcome.STOPPED}


_HOPELESS = frozenset({SyncOutcome.FORBIDDEN, SyncOutcome.UNREADABLE})
"""Trying again soon would change nothing."""


def next_sync(
    connection_id: UUID,
    every: timedelta,
    outcome: SyncOutcome,
    failures: int,
    retry_after: timedelta | None = None,
) -> timedelta | None:
    """How long after this outcome data is to be read again; None: not at all.

    Args:
        failures: how many times in a row it has failed, this one included.
    """
    if outcome in {SyncOutcome.UNSUPPORTED, SyncOutcome.STOPPED}:
        return None
    regular = every * (1 - SPREAD * fraction(connection_id, "sync"))
    if not outcome.is_failure or outcome in _HOPELESS:
        return regular
    return min(regular, retry_delay(connection_id, failures, retry_after))
