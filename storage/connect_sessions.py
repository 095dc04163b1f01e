"""Users on their way through our pages: each session belongs to one browser, and is confirmed once.

What a link, a cookie or a proof must be is 256 random bits, of which only hashes are kept; the
proof follows from the cookie, so that a page loaded twice brings the same.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import or_
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import Conflict, NotFound
from domain.secret import Secret
from domain.status import StatusReason
from storage import attempts, staging
from storage.attempts import CODE_LIFE, AttemptStatus
from storage.gateway_tables import ConnectSessionRow
from storage.tables import AttemptRow

CONFIRMED_WITHIN: Final[timedelta] = CODE_LIFE
"""How long the application has to confirm the user: what is parked does not live longer."""


def new(
    session: AsyncSession,
    connection_id: UUID,
    *,
    attempt_id: UUID | None,
    return_url: str | None,
    at: datetime,
    expires_at: datetime,
) -> tuple[ConnectSessionRow, Secret]:
    """A session, and what its link carries."""
    link = secrets.token_urlsafe(32)
    row = ConnectSessionRow(
        id=uuid4(),
        connection_id=connection_id,
        link_hash=_hash(link),
        attempt_id=attempt_id,
        return_url=return_url,
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    return row, Secret(link)


async def by_link(session: AsyncSession, link: str, *, lock: bool = False) -> ConnectSessionRow:
    """The session of this link.

    Raises:
        NotFound: it was never given out.
    """
    query = select(ConnectSessionRow).where(ConnectSessionRow.link_hash == _hash(link))
    row = (await session.exec(query.with_for_update() if lock else query)).first()
    if row is None:
        raise NotFound("this link was never given out")
    return row


async def get(session: AsyncSession, session_id: UUID, *, lock: bool = False) -> ConnectSessionRow:
    """The session of this id; locked, it is as it is now, also if it has been read before.

    Raises:
        NotFound: there is none.
    """
    row = await session.get(
        ConnectSessionRow, session_id, with_for_update=lock or None, populate_existing=lock
    )
    if row is None:
        raise NotFound(f"no connect session {session_id}")
    return row


async def of_attempt(session: AsyncSession, attempt_id: UUID) -> ConnectSessionRow | None:
    """The session that an authorization attempt belongs to, locked."""
    query = select(ConnectSessionRow).where(ConnectSessionRow.attempt_id == attempt_id)
    return (await session.exec(query.with_for_update())).first()


def expect_open(row: ConnectSessionRow, at: datetime) -> None:
    """Whether the session may still be gone through.

    Raises:
        Conflict: it is over.
    """
    if row.finished_at is not None or at >= row.expires_at:
        raise Conflict("this link has been used, or its time is over")


def open_for(row: ConnectSessionRow, cookie: str | None, at: datetime) -> str:
    """Bind the session to a browser; the cookie by which it is known from now on.

    Raises:
        Conflict: it is over, or belongs to another browser.
    """
    expect_open(row, at)
    if row.cookie_hash is None:
        cookie = secrets.token_urlsafe(32)
        row.cookie_hash, row.opened_at = _hash(cookie), at
        return cookie
    if cookie is None or not is_bound_to(row, cookie):
        raise Conflict("this link has been opened in another browser")
    return cookie


def is_bound_to(row: ConnectSessionRow, cookie: str | None) -> bool:
    """Whether this is the browser that opened the session."""
    bound, shown = row.cookie_hash, _hash(cookie or "")
    return bound is not None and hmac.compare_digest(bound, shown)


def proof_of(row: ConnectSessionRow, cookie: str) -> str:
    """What this browser brings to the application, which confirms its user with it."""
    made = hmac.digest(cookie.encode(), b"proof" + row.id.bytes, "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def answered(row: ConnectSessionRow, cookie: str, at: datetime) -> None:
    """The browser has brought a code, or what was given; who confirms that it may be used.

    Without a return URL this very browser, at once; else the application, for a minute.
    """
    if row.return_url is None:
        row.confirmed_at = at
    else:
        row.proof_hash = _hash(proof_of(row, cookie))
        row.proof_until = at + CONFIRMED_WITHIN


def is_proven(row: ConnectSessionRow, proof: str) -> bool:
    """Whether this proof was made for the session."""
    return row.proof_hash is not None and hmac.compare_digest(row.proof_hash, _hash(proof))


def confirm(row: ConnectSessionRow, at: datetime) -> bool:
    """From now on what it brought may be used; False: it is too late. Once is for ever."""
    if row.confirmed_at is None and (row.finished_at is not None or at >= _proven_until(row)):
        return False
    row.confirmed_at = row.confirmed_at or at
    return True


def _proven_until(row: ConnectSessionRow) -> datetime:
    return row.proof_until or row.created_at


def finish(row: ConnectSessionRow, reason: StatusReason | None, at: datetime) -> None:
    """It has come to its end; ``reason``: why to none that was wanted."""
    row.finished_at, row.reason = at, reason


async def void(
    session: AsyncSession, connection_id: UUID, reason: StatusReason, at: datetime
) -> None:
    """Whatever was begun for a connection connects nothing any more: nothing is left to use.

    Sessions that are confirmed end by themselves: somebody waits to hear that nothing came of it.
    """
    await attempts.void(session, connection_id, reason, at)
    await staging.discard_kept(session, connection_id)
    unconfirmed = (
        col(ConnectSessionRow.connection_id) == connection_id,
        col(ConnectSessionRow.finished_at).is_(None),
        col(ConnectSessionRow.confirmed_at).is_(None),
    )
    over = {"finished_at": at, "reason": reason}
    await session.exec(update(ConnectSessionRow).where(*unconfirmed).values(over))


async def due(session: AsyncSession, at: datetime) -> Sequence[UUID]:
    """Sessions that somebody has to look after: too late, or their attempt is over."""
    over = col(AttemptRow.status).in_((AttemptStatus.SUCCEEDED, AttemptStatus.FAILED))
    query = (
        select(ConnectSessionRow.id)
        .outerjoin(AttemptRow, col(AttemptRow.id) == col(ConnectSessionRow.attempt_id))
        .where(
            col(ConnectSessionRow.finished_at).is_(None),
            or_(
                col(ConnectSessionRow.proof_until) <= at,
                col(ConnectSessionRow.expires_at) <= at,
                over,
            ),
        )
    )
    return (await session.exec(query)).all()


async def prune(session: AsyncSession, before: datetime) -> None:
    """Forget sessions that were over before this instant."""
    over = col(ConnectSessionRow.finished_at) < before
    await session.exec(delete(ConnectSessionRow).where(over))


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="surrogatepass")).digest()
