"""Authorization attempts: from the authorize URL to the one exchange of its code.

A code is exchanged at most once: replaying it makes a strict provider revoke the tokens of the
first exchange. So an attempt moves by compare-and-swap only, and one that was ``exchanging`` when
its process died has failed; the user tries again.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import Conflict, NotFound
from domain.patience import AUTHORIZATION_WINDOW
from domain.secret import Secret
from domain.status import StatusReason
from storage import data_keys
from storage.tables import AttemptRow
from storage.vault import DataKey, Vault

WINDOW: Final = AUTHORIZATION_WINDOW
CODE_LIFE: Final = timedelta(seconds=60)
"""How long a received code is kept for its exchange."""
SHREDDED: Final = "this authorization was begun before the secrets were shredded; begin anew"


class AttemptStatus(StrEnum):
    """Where an attempt is."""

    PENDING = "pending"
    PARKED = "parked"
    """The code has come back and waits, sealed, for its exchange."""
    EXCHANGING = "exchanging"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


WAITING: Final = (AttemptStatus.PENDING, AttemptStatus.PARKED)
"""Its code is not being exchanged yet, and need not be."""


@dataclass(frozen=True)
class AttemptSecrets:
    """What an attempt keeps sealed."""

    state: Secret
    verifier: Secret
    code: Secret | None = field(default=None)


async def begin(
    session: AsyncSession, attempt: AttemptRow, key: DataKey, secrets: AttemptSecrets
) -> AttemptRow:
    """Store a new attempt; the one already begun for the same cause, if there is one."""
    query = select(AttemptRow).where(AttemptRow.cause == attempt.cause)
    earlier = (await session.exec(query)).first()
    if earlier is not None:
        return earlier
    attempt.data_key_id = key.id
    attempt.state_hash = _hash(secrets.state)
    attempt.sealed = key.seal(
        f"attempt-{attempt.id}",
        0,
        {"state": secrets.state.reveal(), "verifier": secrets.verifier.reveal()},
    )
    session.add(attempt)
    return attempt


async def get(session: AsyncSession, attempt_id: UUID, *, lock: bool = False) -> AttemptRow:
    """The attempt; locked, it is as it is now, also if it has been read before.

    Raises:
        NotFound: there is none.
    """
    row = await session.get(
        AttemptRow, attempt_id, with_for_update=lock or None, populate_existing=lock
    )
    if row is None:
        raise NotFound(f"no authorization attempt {attempt_id}")
    return row


async def by_state(session: AsyncSession, state: Secret) -> AttemptRow:
    """The attempt that a redirect with this ``state`` belongs to, locked.

    Raises:
        NotFound: we never sent this state.
    """
    query = select(AttemptRow).where(AttemptRow.state_hash == _hash(state)).with_for_update()
    row = (await session.exec(query)).first()
    if row is None:
        raise NotFound("this redirect belongs to no authorization that was begun here")
    return row


async def newest(session: AsyncSession, connection_id: UUID) -> AttemptRow | None:
    """The attempt begun last for a connection."""
    query = select(AttemptRow).where(AttemptRow.connection_id == connection_id)
    return (await session.exec(query.order_by(col(AttemptRow.created_at).desc()))).first()


async def newest_of(
    session: AsyncSession, connection_ids: Collection[UUID]
) -> dict[UUID, AttemptRow]:
    """The attempt begun last for each of these connections that has one."""
    connection = col(AttemptRow.connection_id)
    query = select(AttemptRow).where(connection.in_(connection_ids)).ext(distinct_on(connection))
    rows = await session.exec(query.order_by(connection, col(AttemptRow.created_at).desc()))
    return {row.connection_id: row for row in rows.all()}


async def secrets_of(session: AsyncSession, vault: Vault, row: AttemptRow) -> AttemptSecrets:
    """Open what the attempt keeps sealed.

    Raises:
        Conflict: its data key has been shredded since; the attempt is void.
        StorageFault: it does not open.
    """
    key = await _key_of(session, vault, row)
    opened = key.open(f"attempt-{row.id}", 0, row.sealed)
    code = None
    if row.sealed_code is not None:
        code = key.open(f"code-{row.id}", 0, row.sealed_code)["code"]
    return AttemptSecrets(opened["state"], opened["verifier"], code)


async def park(
    session: AsyncSession, vault: Vault, row: AttemptRow, code: Secret, at: datetime
) -> None:
    """Keep a received code, sealed, for at most a minute.

    Raises:
        Conflict: this attempt has received its answer before, or its window has closed.
    """
    expect_answer(row, at)
    key = await _key_of(session, vault, row)
    row.sealed_code = key.seal(f"code-{row.id}", 0, {"code": code.reveal()})
    row.code_until = at + CODE_LIFE
    row.status = AttemptStatus.PARKED


def refuse(row: AttemptRow, reason: StatusReason, at: datetime) -> None:
    """The redirect brought a refusal instead of a code.

    Raises:
        Conflict: this attempt has received its answer before, or its window has closed.
    """
    expect_answer(row, at)
    finish(row, AttemptStatus.FAILED, reason, at)


def start_exchange(row: AttemptRow, at: datetime) -> bool:
    """Take a parked code out for its one exchange; False if it is too old.

    Raises:
        Conflict: somebody else has taken it.
    """
    if row.status != AttemptStatus.PARKED:
        raise Conflict("this authorization is being exchanged, or has been")
    row.status = AttemptStatus.EXCHANGING
    return row.code_until is not None and at < row.code_until


def finish(
    row: AttemptRow, status: AttemptStatus, reason: StatusReason | None, at: datetime
) -> None:
    """End an attempt and forget its code and verifier."""
    row.status, row.reason, row.finished_at = status, reason, at
    row.sealed_code, row.sealed = None, b""


async def void(
    session: AsyncSession, connection_id: UUID, reason: StatusReason, at: datetime
) -> None:
    """End those of a connection whose code is not being exchanged yet."""
    query = select(AttemptRow).where(
        AttemptRow.connection_id == connection_id, col(AttemptRow.status).in_(WAITING)
    )
    for row in (await session.exec(query.order_by(col(AttemptRow.id)).with_for_update())).all():
        finish(row, AttemptStatus.FAILED, reason, at)


async def destroy_late_codes(session: AsyncSession, at: datetime) -> None:
    """Codes that were not exchanged in their minute never will be."""
    late = select(AttemptRow).where(
        AttemptRow.status == AttemptStatus.PARKED, col(AttemptRow.code_until) <= at
    )
    for row in (await session.exec(late.with_for_update(skip_locked=True))).all():
        finish(row, AttemptStatus.FAILED, StatusReason.AUTHORIZATION_TIMEOUT, at)


def expect_answer(row: AttemptRow, at: datetime) -> None:
    """Whether the provider's answer is still waited for.

    Raises:
        Conflict: it has come before, is of no use any more, or the window has closed.
    """
    if row.status == AttemptStatus.FAILED:
        raise Conflict("this authorization has come to nothing; begin anew")
    if row.status != AttemptStatus.PENDING:
        raise Conflict("this authorization has received its answer before")
    if at >= row.expires_at:
        raise Conflict("the time to authorize is over; begin anew")


async def _key_of(session: AsyncSession, vault: Vault, row: AttemptRow) -> DataKey:
    # Only found, never made: making one waits for a shredding, which waits for this attempt's row.
    wrapped = await data_keys.find(session, row.connection_id)
    if wrapped is None or wrapped.id != row.data_key_id:
        raise Conflict(SHREDDED)
    return vault.unwrap(wrapped)


def _hash(state: Secret) -> bytes:
    return hashlib.sha256(state.reveal().encode()).digest()
