"""The ends of a grant: which clocks run, who said so, and which one a person must act on.

An access token's end is our business: it is refreshed. The others end the grant itself, and only
the user can begin a new one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.status import StatusReason


class DeadlineKind(StrEnum):
    """Which clock."""

    ACCESS_TOKEN = "access_token"
    REFRESH_TOKEN = "refresh_token"
    """The refresh token's own end; moves with every refresh where it counts idle time."""
    GRANT = "grant"
    """The absolute end of the authorization; no refresh moves it."""
    CONSENT = "consent"
    """The end of what the person agreed to."""


class DeadlineSource(StrEnum):
    """Who said so, the most trusted first."""

    OPERATOR = "operator"
    """Whoever imported the credentials."""
    RESPONSE = "response"
    JWT = "jwt"
    """The ``exp`` and ``iat`` inside an access token that is a JWT."""
    CERTIFICATE = "certificate"
    """The ``notAfter`` inside a client certificate."""
    CATALOGUE = "catalogue"


@dataclass(frozen=True)
class Deadline:
    """One clock's end: an aware instant and where it is known from."""

    kind: DeadlineKind
    at: datetime
    source: DeadlineSource


@dataclass(frozen=True)
class Lifetimes:
    """How long things live: as an answer states it, or as a catalogue entry does.

    ``None`` means not stated, never "for ever".
    """

    access_token: timedelta | None = None
    refresh_token: timedelta | None = None
    grant: timedelta | None = None
    consent: timedelta | None = None

    def of(self, kind: DeadlineKind) -> timedelta | None:
        """The lifetime that ends with this kind of deadline."""
        return {
            DeadlineKind.ACCESS_TOKEN: self.access_token,
            DeadlineKind.REFRESH_TOKEN: self.refresh_token,
            DeadlineKind.GRANT: self.grant,
            DeadlineKind.CONSENT: self.consent,
        }[kind]


_TOKENS = {DeadlineKind.ACCESS_TOKEN, DeadlineKind.REFRESH_TOKEN}

REASON_WHEN_PASSED = {
    DeadlineKind.REFRESH_TOKEN: StatusReason.REFRESH_TOKEN_EXPIRED,
    DeadlineKind.GRANT: StatusReason.GRANT_EXPIRED,
    DeadlineKind.CONSENT: StatusReason.CONSENT_EXPIRED,
}


Known = Mapping[DeadlineSource, Lifetimes]
"""What each source says; sources are asked in the order of ``DeadlineSource``."""


def after_authorization(sent_at: datetime, known: Known) -> tuple[Deadline, ...]:
    """The clocks that start when the user authorizes: every one that is known."""
    deadlines = (_deadline(kind, sent_at, known) for kind in DeadlineKind)
    return tuple(deadline for deadline in deadlines if deadline is not None)


def after_refresh(
    previous: Iterable[Deadline], sent_at: datetime, known: Known
) -> tuple[Deadline, ...]:
    """The clocks after a refresh: tokens start anew, grant and consent run on.

    A grant or consent end that the answer itself states replaces the one known before; what the
    catalogue says of them counts from the authorization only.
    """
    said = {**known, DeadlineSource.CATALOGUE: Lifetimes()}
    kept = {deadline.kind: deadline for deadline in previous}
    result = []
    for kind in DeadlineKind:
        if kind in _TOKENS:
            deadline = _deadline(kind, sent_at, known)
        else:
            deadline = _deadline(kind, sent_at, said) or kept.get(kind)
        if deadline is not None:
            result.append(deadline)
    return tuple(result)


def access_token_end(deadlines: Iterable[Deadline]) -> datetime | None:
    """When the access token stops working; None if nobody said."""
    return next((d.at for d in deadlines if d.kind is DeadlineKind.ACCESS_TOKEN), None)


def _deadline(kind: DeadlineKind, sent_at: datetime, known: Known) -> Deadline | None:
    for source in DeadlineSource:
        lifetime = known.get(source, Lifetimes()).of(kind)
        if lifetime is not None:
            return Deadline(kind, sent_at + lifetime, source)
    return None
