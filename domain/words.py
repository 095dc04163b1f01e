"""Plain words for everything that can be so with a connection: statuses' reasons, causes, outcomes.

One table for each closed list, and for each trouble who mends it; a test holds them complete.
"""

from datetime import UTC, datetime
from enum import StrEnum

from domain.credentials import CredentialType
from domain.outcomes import Outcome
from domain.status import StatusReason
from domain.syncs import SyncOutcome


class Actor(StrEnum):
    """Whose turn it is."""

    NOBODY = "nobody"
    USER = "user"
    OPERATOR = "operator"
    PROVIDER = "provider"


WHO = {
    Actor.NOBODY: "Nobody has to do anything.",
    Actor.USER: "The user must act.",
    Actor.OPERATOR: "The operator must act.",
    Actor.PROVIDER: "The provider must recover; nobody here has to do anything.",
}

WHY = {
    StatusReason.AUTHORIZATION_STARTED: "the user has been asked to authorize.",
    StatusReason.AUTHORIZED: "the user authorized it.",
    StatusReason.IMPORTED: "it began with credentials that were given directly.",
    StatusReason.USER_REVOKED: "the user revoked it.",
    StatusReason.PROVIDER_REVOKED: "access was taken away at the provider.",
    StatusReason.GRANT_EXPIRED: "the provider says the grant is no longer valid.",
    StatusReason.REFRESH_TOKEN_EXPIRED: "the refresh token reached its known end.",
    StatusReason.CONSENT_EXPIRED: "the user's consent reached its end.",
    StatusReason.NOT_REFRESHABLE: "the access token ended and there is no refresh token.",
    StatusReason.LOST_ROTATION: (
        "the provider rotated the refresh token, its answer never reached us, and it does not "
        "honour the old one (lost_rotation)."
    ),
    StatusReason.AUTHORIZATION_DENIED: "the user declined at the provider.",
    StatusReason.AUTHORIZATION_REFUSED: "the provider refused the authorization.",
    StatusReason.AUTHORIZATION_TIMEOUT: "the time to authorize ran out.",
    StatusReason.EXCHANGE_INTERRUPTED: "the exchange of the authorization code was interrupted.",
    StatusReason.UNUSABLE_ANSWER: "the provider's answer could not be used.",
    StatusReason.APP_MISCONFIGURED: "the provider refuses our client id or secret.",
    StatusReason.USER_DISCONNECTED: "the user disconnected it.",
    StatusReason.OPERATOR_CANCELLED: "an operator cancelled it.",
    StatusReason.ABANDONED: "nobody came back to it within the retention time.",
    StatusReason.KEY_REFUSED: "the provider refuses what its user gave, each time it was tried.",
    StatusReason.USER_NOT_CONFIRMED: "the application did not confirm the user who began.",
}

GIVEN = {
    CredentialType.API_KEY: "API key",
    CredentialType.LINK_TOKEN: "link token",
    CredentialType.CERTIFICATE: "certificate",
    CredentialType.FILE_IMPORT: "file",
}
"""What users give us as it is, by its name."""

_WHY_GIVEN = {
    StatusReason.KEY_REFUSED: "the provider refuses the {}, each time it was tried.",
    StatusReason.NOT_REFRESHABLE: "the {} has reached its end.",
}

CAUSE = {
    Outcome.TRANSIENT: "the provider cannot be reached or answers with an error of its own",
    Outcome.RATE_LIMITED: "the provider asks us to slow down",
    Outcome.AMBIGUOUS: "the provider's answer was lost on the way; the same token is shown again",
    Outcome.PROTOCOL_ERROR: "the provider's answer is neither tokens nor an OAuth error",
    Outcome.APP_MISCONFIGURED: "the provider refuses our client id or secret, or our entry for it",
    Outcome.STORAGE_FAULT: "the stored credentials do not open with the keys we have",
    Outcome.ROLLED_BACK: (
        "the database holds older credentials than it did, as one that was restored from a backup "
        "does; they are not shown to the provider"
    ),
    Outcome.UNAVAILABLE: "our own database or workers were away",
    Outcome.KEY_REFUSED: "the provider refuses what its user gave",
    Outcome.GRANT_DEAD: "the provider refuses the grant",
    Outcome.ACCESS_REVOKED: "access was taken away at the provider",
    Outcome.REFRESHED: "though new tokens have come since",
    Outcome.VERIFIED: "though it has been found good since",
}

WHO_MENDS = {
    Outcome.APP_MISCONFIGURED: Actor.OPERATOR,
    Outcome.STORAGE_FAULT: Actor.OPERATOR,
    Outcome.ROLLED_BACK: Actor.OPERATOR,
    Outcome.UNAVAILABLE: Actor.OPERATOR,
    Outcome.KEY_REFUSED: Actor.USER,
    Outcome.GRANT_DEAD: Actor.USER,
    Outcome.ACCESS_REVOKED: Actor.USER,
    Outcome.REFRESHED: Actor.NOBODY,
    Outcome.VERIFIED: Actor.NOBODY,
}
"""Whose turn it is while refreshing fails for this cause; for all others it is the provider's."""


READING = {
    SyncOutcome.UNAUTHORIZED: "the provider did not take the token",
    SyncOutcome.TRANSIENT: "the provider cannot be reached or answers with an error of its own",
    SyncOutcome.RATE_LIMITED: "the provider asks us to slow down",
    SyncOutcome.FORBIDDEN: "what the user granted does not allow it",
    SyncOutcome.UNREADABLE: "the provider's answer is not what we know, or our secret not readable",
    SyncOutcome.UNAVAILABLE: "our own database or workers were away",
    SyncOutcome.SYNCED: "though it has been read since",
    SyncOutcome.UNSUPPORTED: "nothing is read from this provider",
    SyncOutcome.STOPPED: "it was stopped",
}

WHO_MENDS_READING = {
    SyncOutcome.FORBIDDEN: Actor.USER,
    SyncOutcome.UNREADABLE: Actor.OPERATOR,
}
"""Whose turn it is while the data cannot be read for this reason; for all others it passes."""


def why(reason: StatusReason, kind: CredentialType) -> str:
    """The reason in words, as they are said of a connection of this kind."""
    if kind is CredentialType.FILE_IMPORT and reason is StatusReason.KEY_REFUSED:
        return "the file cannot be read."
    if kind.is_given and reason in _WHY_GIVEN:
        return _WHY_GIVEN[reason].format(GIVEN[kind])
    return WHY[reason]


def cause(outcome: Outcome, kind: CredentialType) -> str:
    """The cause of a trouble in words, as they are said of a connection of this kind."""
    if kind.is_given and outcome is Outcome.KEY_REFUSED:
        return f"the provider refuses the {GIVEN[kind]}"
    return CAUSE[outcome]


def one(kind: CredentialType) -> str:
    """One of what users give: ``an API key``, ``a file``."""
    article = "an" if GIVEN[kind][0] in "AEIO" else "a"
    return f"{article} {GIVEN[kind]}"


def option(kind: CredentialType) -> str:
    """The option of the command line by which it is given."""
    return f"--{GIVEN[kind].lower().replace(' ', '-')}-stdin"


def instant(at: datetime) -> str:
    """An instant for people."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
