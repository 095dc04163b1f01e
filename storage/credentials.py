"""Sealed credentials: committed once or kept as an orphan, and never written by a late-comer.

A commit compares generation, claim and ``ended_at``. Tokens that lose the comparison are real
tokens all the same, perhaps the only ones that still work: they are kept sealed, to be tried
before a rotation is declared lost, and revoked when the connection ends.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid6 import uuid7

from domain.deadlines import Deadline, DeadlineKind, DeadlineSource, access_token_end
from domain.events import (
    ConnectionReauthorized,
    ConnectionRecovered,
    ProviderTokenRefreshSucceeded,
)
from domain.standing import end_of_grant
from domain.status import ConnectionStatus, StatusReason
from storage import attempts, events
from storage.attempts import AttemptStatus
from storage.claims import Purpose, may_have_lost_tokens, orphans
from storage.connections import credentials_of, subject
from storage.database import run
from storage.tables import ConnectionRow, CredentialsRow, DataKeyRow, JournalRow, OrphanRow

SEALED_AS: Final = "credentials"
"""The name under which a generation's secret is sealed."""
SUPERSEDED: Final = "superseded"
"""The purpose of an orphan that was in use until its user authorized anew."""
LAPSED: Final = datetime.fromtimestamp(0, UTC)


class Envelope(BaseModel):
    """One generation of credentials, sealed and ready to be stored.

    Also what travels through Temporal when the database is away: the key that opens it does not.
    """

    model_config = ConfigDict(
        frozen=True, hide_input_in_errors=True, ser_json_bytes="base64", val_json_bytes="base64"
    )

    connection_id: UUID
    purpose: Purpose
    generation: int
    """The generation it becomes."""
    claim: int
    data_key_id: UUID
    sealed: bytes
    token_type: str | None
    refreshable: bool
    sent_at: datetime
    refresh_at: datetime | None
    deadlines: tuple[Deadline, ...]
    attempt_id: UUID | None = None
    usable: bool = True
    """False: not to take the place of anything; kept, to be revoked."""


class Committed(StrEnum):
    """What became of an envelope."""

    STORED = "stored"
    ORPHANED = "orphaned"
    """It lost the comparison and is kept sealed."""
    UNREADABLE = "unreadable"
    """Its data key has been shredded: nobody can open it any more."""


async def commit(
    session: AsyncSession, connection: ConnectionRow, envelope: Envelope, at: datetime
) -> Committed:
    """Store an envelope as the next generation of a locked connection; safe to repeat."""
    if (earlier := await _committed_before(session, envelope)) is not None:
        return earlier
    current = await credentials_of(session, envelope.connection_id)
    readable = await session.get(DataKeyRow, envelope.data_key_id) is not None
    wins = (
        readable
        and _follows(envelope, current.generation)
        and current.claim == envelope.claim
        and connection.ended_at is None
        and envelope.usable
        and await _finish_attempt(session, envelope, at)
    )
    if not wins:
        if current.claim == envelope.claim:
            current.lease_until = LAPSED
        await _fail_attempt(session, envelope, at)
        return await _keep_as_orphan(session, envelope, at)
    if envelope.purpose is Purpose.AUTHORIZATION:
        await _keep_superseded(session, current, envelope.claim, at)
    replace(current, envelope, at)
    connection.reauthorize_by = must_act_by(envelope)
    await _record(session, connection, envelope, at)
    await _journal(session, envelope, Committed.STORED)
    return Committed.STORED


def _follows(envelope: Envelope, generation: int) -> bool:
    """A refresh makes the next generation; an authorization may leave out some that were lost."""
    if envelope.purpose is Purpose.AUTHORIZATION:
        return generation < envelope.generation
    return generation == envelope.generation - 1


async def _finish_attempt(session: AsyncSession, envelope: Envelope, at: datetime) -> bool:
    if envelope.attempt_id is None:
        return True
    attempt = await attempts.get(session, envelope.attempt_id, lock=True)
    ours = attempt.connection_id == envelope.connection_id
    if not ours or attempt.status != AttemptStatus.EXCHANGING:
        return False
    attempts.finish(attempt, AttemptStatus.SUCCEEDED, None, at)
    attempt.generation = envelope.generation
    return True


async def _fail_attempt(session: AsyncSession, envelope: Envelope, at: datetime) -> None:
    if envelope.attempt_id is None:
        return
    attempt = await attempts.get(session, envelope.attempt_id, lock=True)
    if attempt.finished_at is None:
        attempts.finish(attempt, AttemptStatus.FAILED, reason_lost(envelope), at)


def reason_lost(envelope: Envelope) -> StatusReason:
    """Why an authorization came to nothing whose tokens did not count."""
    return _R.EXCHANGE_INTERRUPTED if envelope.usable else _R.UNUSABLE_ANSWER


_R = StatusReason


def replace(current: CredentialsRow, envelope: Envelope, at: datetime) -> None:
    """Put an envelope in the place of what the row holds; whether it may is judged before."""
    current.generation = envelope.generation
    current.data_key_id = envelope.data_key_id
    current.sealed = envelope.sealed
    current.token_type = envelope.token_type
    current.refreshable = envelope.refreshable
    current.sent_at = envelope.sent_at
    current.stored_at = at
    current.expires_at = access_token_end(envelope.deadlines)
    current.refresh_at = envelope.refresh_at
    current.deadlines = to_stored(envelope.deadlines)
    current.lease_until = LAPSED


async def _record(
    session: AsyncSession, connection: ConnectionRow, envelope: Envelope, at: datetime
) -> None:
    cause = f"claim-{envelope.claim}"
    about = subject(connection, at)
    connection.updated_at = at
    if envelope.purpose is Purpose.REFRESH:
        await events.append(session, connection, ProviderTokenRefreshSucceeded(**about), cause)
    elif connection.status == ConnectionStatus.ACTIVE:
        await events.append(session, connection, ConnectionReauthorized(**about), cause)
    if connection.degraded_since is not None:
        await events.append(session, connection, ConnectionRecovered(**about), cause)
    connection.degraded_since = connection.degraded_cause = connection.retry_at = None
    connection.failures = 0


async def _keep_as_orphan(session: AsyncSession, envelope: Envelope, at: datetime) -> Committed:
    if await session.get(DataKeyRow, envelope.data_key_id) is None:
        await _journal(session, envelope, Committed.UNREADABLE)
        return Committed.UNREADABLE
    await _journal(session, envelope, Committed.ORPHANED)
    session.add(
        OrphanRow(
            id=uuid7(),
            connection_id=envelope.connection_id,
            generation=envelope.generation,
            purpose=envelope.purpose,
            claim=envelope.claim,
            data_key_id=envelope.data_key_id,
            sealed=envelope.sealed,
            created_at=at,
        )
    )
    return Committed.ORPHANED


async def _keep_superseded(
    session: AsyncSession, current: CredentialsRow, claim: int, at: datetime
) -> None:
    """What a new authorization replaces is another grant, and lives on: it is to be revoked, too.

    Not at once: many providers would end the new grant of the same user with it.
    """
    if current.sealed is not None and current.data_key_id is not None:
        session.add(
            OrphanRow(
                id=uuid7(),
                connection_id=current.connection_id,
                generation=current.generation,
                purpose=SUPERSEDED,
                claim=claim,
                data_key_id=current.data_key_id,
                sealed=current.sealed,
                created_at=at,
            )
        )


async def _committed_before(session: AsyncSession, envelope: Envelope) -> Committed | None:
    values = {"id": envelope.connection_id, "claim": envelope.claim}
    outcome = (await session.exec(_OUTCOME, params=values)).first()
    return Committed(outcome) if outcome in set(Committed) else None


_OUTCOME: Final = select(JournalRow.outcome).where(
    JournalRow.connection_id == bindparam("id"), JournalRow.claim == bindparam("claim")
)


async def _journal(session: AsyncSession, envelope: Envelope, outcome: Committed) -> None:
    await run(
        session,
        """
        UPDATE refresh_journal
           SET finished_at = clock_timestamp(), outcome = :outcome, may_have_acted = true
         WHERE connection_id = :connection_id AND claim = :claim
        """,
        {
            "connection_id": envelope.connection_id,
            "claim": envelope.claim,
            "outcome": outcome,
        },
    )


async def holds_secrets(session: AsyncSession, connection_id: UUID) -> bool:
    """Whether there are tokens, whatever the connection knows of them; also such as were lost."""
    held = await credentials_of(session, connection_id)
    late = await orphans(session, connection_id)
    kept = held.sealed is not None or any(orphan.settled is None for orphan in late)
    return kept or await may_have_lost_tokens(session, connection_id)


def to_stored(deadlines: Iterable[Deadline]) -> list[dict[str, str]]:
    """Deadlines as a JSON column holds them."""
    return [{"kind": d.kind, "at": d.at.isoformat(), "source": d.source} for d in deadlines]


def from_stored(deadlines: Iterable[Mapping[str, str]]) -> tuple[Deadline, ...]:
    """Deadlines as the domain knows them."""
    return tuple(
        Deadline(
            DeadlineKind(d["kind"]), datetime.fromisoformat(d["at"]), DeadlineSource(d["source"])
        )
        for d in deadlines
    )


def must_act_by(envelope: Envelope) -> datetime | None:
    """The instant by which a person must act, if one is known."""
    end = end_of_grant(envelope.deadlines, refreshable=envelope.refreshable)
    return end.at if end else None
