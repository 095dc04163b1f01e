"""How connect sessions end: used, refused, burned, or too late; and that nothing is left behind.

Rows are locked in one order everywhere: the connection, the attempt, the session.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import Unreachable
from domain.events import AuthorizationCallbackRejected
from domain.status import StatusReason
from domain.words import WHY
from storage import attempts, connect_sessions, events, staging
from storage.attempts import AttemptStatus
from storage.connections import locked, subject
from storage.database import Database, now
from storage.gateway_tables import ConnectSessionRow
from storage.tables import AttemptRow, ConnectionRow

log = logging.getLogger(__name__)

SETTLED_WITHIN: Final = timedelta(minutes=10)
"""What was confirmed and has come to nothing by then, nobody carries on with any more."""
KEPT_FOR: Final = timedelta(days=1)
"""How long a session that is over can still be looked at."""
GIVEN_LIFE: Final = timedelta(days=1)
"""What was kept before, by a session or a caller that is gone, nobody uses any more."""


@dataclass(frozen=True)
class Held:
    """A session, and what belongs to it, locked."""

    connection: ConnectionRow
    attempt: AttemptRow | None
    row: ConnectSessionRow


async def hold(session: AsyncSession, session_id: UUID) -> Held:
    """Lock a session and what belongs to it.

    Raises:
        NotFound: there is none.
    """
    found = await connect_sessions.get(session, session_id)
    connection = await locked(session, found.connection_id)
    attempt = None
    if found.attempt_id is not None:
        attempt = await attempts.get(session, found.attempt_id, lock=True)
    row = await connect_sessions.get(session, session_id, lock=True)
    return Held(connection, attempt, row)


async def succeed(held: Held, at: datetime) -> None:
    """What it brought has been used."""
    if held.row.finished_at is None:
        connect_sessions.finish(held.row, None, at)


async def refuse_given(session: AsyncSession, held: Held, at: datetime) -> None:
    """What was given is not taken. Where its browser confirms itself, it may bring another."""
    row = held.row
    if row.finished_at is not None:
        return
    await _destroy(session, held, StatusReason.KEY_REFUSED, at)
    if row.return_url is None:
        row.confirmed_at = None
    else:
        connect_sessions.finish(row, StatusReason.KEY_REFUSED, at)


async def burn(session: AsyncSession, held: Held, reason: StatusReason, at: datetime) -> None:
    """Whatever it brought must never be used: destroyed, and said in the connection's events."""
    if held.row.finished_at is None:
        await _destroy(session, held, reason, at)
        connect_sessions.finish(held.row, reason, at)
        await note(session, held, WHY[reason], at)


async def note(session: AsyncSession, held: Held, what: str, at: datetime) -> None:
    """Say in the connection's events that something was turned away; once, however often."""
    event = AuthorizationCallbackRejected(**subject(held.connection, at), reason=what)
    await events.append(session, held.connection, event, f"{held.row.id}/{what}")


async def look_after(session: AsyncSession, held: Held, at: datetime) -> None:
    """End a session that nobody lived to end, or whose time is over; else leave it."""
    row = held.row
    if row.finished_at is not None:
        return
    if held.attempt is not None and held.attempt.finished_at is not None:
        reason = StatusReason(held.attempt.reason) if held.attempt.reason else None
        connect_sessions.finish(row, reason, at)
        return
    if row.staged_id is not None and await staging.is_used(session, row.staged_id):
        connect_sessions.finish(row, None, at)
        return
    if row.confirmed_at is not None:
        is_over = at >= row.confirmed_at + SETTLED_WITHIN
    else:
        # What came in the last minute is confirmed in a minute of its own, like all.
        is_over = at >= (row.proof_until or row.expires_at)
    if is_over and row.proof_until is not None:
        await burn(session, held, StatusReason.AUTHORIZATION_TIMEOUT, at)
    elif is_over:
        await _destroy(session, held, StatusReason.AUTHORIZATION_TIMEOUT, at)
        connect_sessions.finish(row, StatusReason.AUTHORIZATION_TIMEOUT, at)


async def sweep(database: Database, at: datetime | None = None) -> None:
    """Look after every session that is due, and destroy what belongs to none.

    Args:
        at: the instant to do it for; None: now.
    """
    async with database.transaction() as session:
        at = at or await now(session)
        due = await connect_sessions.due(session, at)
    for session_id in due:
        try:
            async with database.transaction() as session:
                await look_after(session, await hold(session, session_id), at)
        except Unreachable:
            raise
        except Exception:  # it must not be in the way of all others
            log.exception("connect session %s could not be looked after", session_id)
    async with database.transaction() as session:
        await attempts.destroy_late_codes(session, at)
    async with database.transaction() as session:
        await staging.forget_unused(session, at - GIVEN_LIFE)
        await connect_sessions.prune(session, at - KEPT_FOR)


async def _destroy(session: AsyncSession, held: Held, reason: StatusReason, at: datetime) -> None:
    """Destroy what it brought; what is being used, or has been, is out of reach."""
    attempt, row = held.attempt, held.row
    if attempt is not None and attempt.status in attempts.WAITING:
        attempts.finish(attempt, AttemptStatus.FAILED, reason, at)
    if row.staged_id is not None:
        await staging.discard(session, row.staged_id)
        row.staged_id = None
