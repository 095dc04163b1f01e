"""How a connection's credentials stand at one instant: what holds, until when, what comes next.

Durations, not instants, are what a workflow acts on: so its clock is never compared with the
clock of the database that stored the token.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from pydantic import ConfigDict

from domain.deadlines import REASON_WHEN_PASSED, Deadline, DeadlineKind, access_token_end
from domain.schedule import KEEP_ALIVE, refresh_after
from domain.sparse import Sparse
from domain.status import StatusReason


class Standing(Sparse):
    """What a workflow needs to know of credentials it never sees.

    Attributes:
        generation: which credentials; 0 = none yet.
        expires_at: end of the access token, None if nobody said.
        lifetime: how long the access token lives in all, None if nobody said.
        refresh_in: when to refresh, or to verify what cannot be refreshed; None = neither.
        ends_in, ends_because: when the grant itself ends, if that is known.
        reauthorize_by: the same as an instant, for people.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    generation: int
    expires_at: datetime | None = None
    lifetime: timedelta | None = None
    refresh_in: timedelta | None = None
    ends_in: timedelta | None = None
    ends_because: StatusReason | None = None
    reauthorize_by: datetime | None = None


def next_refresh(
    connection_id: UUID,
    deadlines: Iterable[Deadline],
    sent_at: datetime,
    keep_alive: timedelta = KEEP_ALIVE,
) -> datetime:
    """When tokens that were asked for at ``sent_at`` are to be refreshed."""
    end = access_token_end(deadlines)
    lifetime = None if end is None else end - sent_at
    return sent_at + refresh_after(connection_id, lifetime, keep_alive)


def standing(
    generation: int,
    deadlines: tuple[Deadline, ...],
    *,
    sent_at: datetime,
    refresh_at: datetime | None,
    refreshable: bool,
    now: datetime,
) -> Standing:
    """How credentials stand ``now``.

    ``refresh_at`` is when they are refreshed or, where they cannot be, verified; None: neither.
    """
    end = access_token_end(deadlines)
    last = end_of_grant(deadlines, refreshable=refreshable)
    return Standing(
        generation=generation,
        expires_at=end,
        lifetime=None if end is None else end - sent_at,
        refresh_in=None if refresh_at is None else max(refresh_at - now, timedelta(0)),
        ends_in=None if last is None else max(last.at - now, timedelta(0)),
        ends_because=None if last is None else last.because,
        reauthorize_by=None if last is None else last.at,
    )


class EndOfGrant(NamedTuple):
    """The instant from which only the user can go on, and why."""

    at: datetime
    because: StatusReason


def end_of_grant(deadlines: tuple[Deadline, ...], *, refreshable: bool) -> EndOfGrant | None:
    """When the grant ends, if that is known.

    Without a refresh token it ends with the access token, and whatever the catalogue says of
    refresh tokens is about others.
    """
    reasons = {**REASON_WHEN_PASSED}
    if not refreshable:
        del reasons[DeadlineKind.REFRESH_TOKEN]
        reasons[DeadlineKind.ACCESS_TOKEN] = StatusReason.NOT_REFRESHABLE
    ends = [EndOfGrant(d.at, reasons[d.kind]) for d in deadlines if d.kind in reasons]
    return min(ends, key=lambda end: end.at, default=None)
