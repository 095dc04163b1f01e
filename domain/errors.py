"""What can go wrong, in our own words: refusals of the entity, and exceptions of all rooms.

A ``Failure`` carries one of the constants; everything else raises below ``MoorlineError``.
"""

from datetime import datetime, timedelta
from typing import Final


class ProviderConnectionError:
    """Reasons for a ``Failure`` of a ``ProviderConnection``, and messages of its ``ValueError``."""

    INVALID_STATE_TRANSITION = "The connection cannot move between these two states"
    CANNOT_TRANSITION_TO_ACTIVE = "The connection cannot become active from its current state"
    CANNOT_TRANSITION_TO_EXPIRED = "Only an active connection can expire"
    CANNOT_TRANSITION_TO_REVOKED = "Only an active connection can be revoked"
    CANNOT_TRANSITION_TO_FAILED = "Only a pending connection can fail"
    CREDENTIALS_REQUIRED = "Credentials are required"
    INVALID_CREDENTIALS = "The credentials are not valid"
    INVALID_PROVIDER_SLUG = "The provider slug must have 1 to 50 characters"
    INVALID_ALIAS = "The alias must have at most 100 characters"
    NOT_CONNECTED = "The connection is not active"
    CREDENTIALS_EXPIRED = "The credentials have expired"
    CONNECTION_DISCONNECTED = "The connection has been disconnected"
    ACTIVE_WITHOUT_CREDENTIALS = "An active connection must have credentials"


ANOTHERS_ID: Final = "another user or provider has a connection of this id"
WAITS_FOR_USER: Final = "a connection of this id waits for its user's authorization"


class MoorlineError(Exception):
    """Root of everything this project raises on purpose; ``str()`` is one line for a person.

    ::

        MoorlineError
        ├── InvalidInput     the request itself cannot be right
        ├── NotFound         no such connection, provider or attempt
        ├── Conflict         it exists already, or has ended
        ├── NeedsUser        only the user can bring the connection back
        ├── NotFresh         no token that is good for long enough, for now
        ├── NotConfigured    a key, secret, table or setting is missing or wrong
        ├── Unreachable      database or Temporal does not answer
        └── StorageFault     something sealed does not open

    None of them ever carries a secret or a text that a provider sent.
    """


class InvalidInput(MoorlineError):
    """The request itself cannot be right, whatever the state."""


class NotFound(MoorlineError):
    """No such connection, provider or attempt."""


class Conflict(MoorlineError):
    """It exists already, has ended, or has moved on."""


class NeedsUser(MoorlineError):
    """Only the user can bring the connection back, by authorizing again."""

    def __init__(self, message: str, *, status: str, reason: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotFresh(MoorlineError):
    """No token that is good for as long as asked, for now.

    Attributes:
        retry_at: when trying again makes sense, if known.
        retry_in: how long it was until then, by the clock that ``retry_at`` is of.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_at: datetime | None = None,
        retry_in: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_at, self.retry_in = retry_at, retry_in


class NotConfigured(MoorlineError):
    """A key, a secret, a table or a setting is missing or wrong; the operator must act."""


class Unreachable(MoorlineError):
    """The database or Temporal does not answer."""


class StorageFault(MoorlineError):
    """Something sealed does not open: wrong key, or a row that is not what it was."""
