"""What came of a call to a provider, as values: closed, and saying who can mend it.

Only ``GRANT_DEAD`` and ``ACCESS_REVOKED`` may end a grant, and only a structured refusal by the
provider may become one of them. Everything else passes, however long it lasts.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """The result of one call, or of the attempt to make it."""

    REFRESHED = "refreshed"
    """New tokens were issued."""
    VERIFIED = "verified"
    """What the user gave is good."""
    TRANSIENT = "transient"
    """Unreachable, overloaded or talking nonsense; try again."""
    RATE_LIMITED = "rate_limited"
    """Asked to come back later."""
    GRANT_DEAD = "grant_dead"
    """The provider refuses this grant; only the user can give a new one."""
    ACCESS_REVOKED = "access_revoked"
    """The provider says that access was taken away."""
    KEY_REFUSED = "key_refused"
    """The provider refuses what the user gave (an API key, say); once may be its own mistake, again
    and again is not."""
    APP_MISCONFIGURED = "app_misconfigured"
    """The provider refuses *us*: the operator must mend the provider app."""
    AMBIGUOUS = "ambiguous"
    """Bytes were sent and no usable answer came: it may or may not have acted."""
    PROTOCOL_ERROR = "protocol_error"
    """A complete answer that is neither tokens nor an error OAuth knows."""
    STORAGE_FAULT = "storage_fault"
    """Our own stored secret does not open; nothing was sent."""
    ROLLED_BACK = "rolled_back"
    """What we have stored is older than what we had, as in a restored backup; nothing was sent."""
    UNAVAILABLE = "unavailable"
    """Our own database or workers were away; what the provider did, if anything, is journalled."""

    @property
    def ends_grant(self) -> bool:
        """Whether the user must authorize again."""
        return self in {Outcome.GRANT_DEAD, Outcome.ACCESS_REVOKED}

    @property
    def needs_operator(self) -> bool:
        """Whether waiting will not help, and the user cannot either."""
        return self in {Outcome.APP_MISCONFIGURED, Outcome.STORAGE_FAULT, Outcome.ROLLED_BACK}


class Revocation(StrEnum):
    """What became of one token at the provider when the connection was revoked or ended."""

    REVOKED = "revoked"
    """The provider confirmed it."""
    UNSUPPORTED = "unsupported"
    """The provider cannot revoke it; it dies by itself."""
    GAVE_UP = "gave_up"
    """The provider did not confirm within the time we keep asking."""
    UNCERTAIN = "uncertain"
    """A token may exist that never reached us, or ours does not open."""
