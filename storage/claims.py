"""The claim: who may call the provider's token endpoint for a connection, and until when.

Exclusive by one conditional UPDATE of the credentials row. A claim is a number that only grows:
whoever holds an older one cannot write any more (fencing), whatever it believes. Its lease is
short and renewed while the call runs, so that the successor of a killed process waits seconds.
Every claim leaves a journal row; one without an outcome is evidence of a call whose end nobody saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import ProviderTokenRefreshAttempted
from domain.status import ConnectionStatus
from storage import data_keys, events
from storage.connections import credentials_of, locked, subject
from storage.database import Database, run
from storage.tables import ConnectionRow, CredentialsRow, OrphanRow
from storage.vault import WrappedKey

LEASE: Final = timedelta(seconds=10)
RENEW_EVERY: Final = timedelta(seconds=3)


class Purpose(StrEnum):
    """What a claim is taken for."""

    REFRESH = "refresh"
    AUTHORIZATION = "authorization"
    REVOCATION = "revocation"


@dataclass(frozen=True)
class Claim:
    """The right to call, and the credentials as they stood when it was given."""

    connection: ConnectionRow = field(repr=False)
    credentials: CredentialsRow = field(repr=False)
    data_key: WrappedKey | None
    orphans: Sequence[OrphanRow] = field(repr=False)
    """Tokens that lost the comparison or were replaced, the newest first."""
    number: int
    claimed_at: datetime

    @property
    def connection_id(self) -> UUID:
        """Whose credentials."""
        return self.connection.id

    @property
    def generation(self) -> int:
        """Which generation of them."""
        return self.credentials.generation


class NotClaimed(StrEnum):
    """Why there is no claim."""

    HELD = "held"
    """Someone else has it; their lease has not lapsed."""
    MOVED = "moved"
    """The generation asked for is past: there is a later one."""
    ENDED = "ended"
    """The connection's end has been asked for."""
    INACTIVE = "inactive"
    """A refresh is wanted, and the connection is not ACTIVE."""


async def take(
    database: Database, connection_id: UUID, purpose: Purpose, generation: int | None = None
) -> Claim | NotClaimed:
    """Claim the credentials, or say why not; never waits.

    Args:
        generation: which one is meant; None takes whatever there is (for all but refreshing). Of
            an older one than is meant the claim is given, for its holder to say so.

    Raises:
        NotFound: there is no such connection.
        Unreachable: the database is away; then nothing was claimed, or the claim lapses.
    """
    async with database.transaction() as session:
        connection = await locked(session, connection_id)
        if connection.ended_at is not None and purpose is not Purpose.REVOCATION:
            return NotClaimed.ENDED
        if connection.status != ConnectionStatus.ACTIVE and purpose is Purpose.REFRESH:
            return NotClaimed.INACTIVE
        credentials = await credentials_of(session, connection_id)
        if generation is not None and credentials.generation > generation:
            return NotClaimed.MOVED
        claimed = (
            await run(
                session,
                _CLAIM,
                {
                    "connection_id": connection_id,
                    "generation": credentials.generation,
                    "purpose": purpose,
                    "lease": LEASE,
                },
            )
        ).first()
        if claimed is None:
            return NotClaimed.HELD
        number, claimed_at = claimed.claim, claimed.claimed_at
        if purpose is Purpose.REFRESH:
            event = ProviderTokenRefreshAttempted(**subject(connection, claimed_at))
            await events.append(session, connection, event, f"claim-{number}")
        # Everything that is needed before sending: nothing may fail between claim and call.
        data_key = await data_keys.find(session, connection_id)
        late = await orphans(session, connection_id)
        return Claim(connection, credentials, data_key, late, number, claimed_at)


async def orphans(session: AsyncSession, connection_id: UUID) -> Sequence[OrphanRow]:
    """Tokens that lost the comparison or were replaced, the newest first."""
    return (await session.exec(_ORPHANS, params={"id": connection_id})).all()


_ORPHANS: Final = (
    select(OrphanRow)
    .where(OrphanRow.connection_id == bindparam("id"))
    .order_by(col(OrphanRow.claim).desc())
)


_CLAIM = """
WITH claimed AS (
    UPDATE credentials
       SET claim = claim + 1, lease_until = clock_timestamp() + :lease
     WHERE connection_id = :connection_id
       AND generation = :generation
       AND lease_until < clock_timestamp()
    RETURNING claim
)
INSERT INTO refresh_journal (connection_id, generation, claim, kind, claimed_at)
SELECT :connection_id, :generation, claim, :purpose, clock_timestamp() FROM claimed
RETURNING claim, claimed_at
"""


async def settle(
    database: Database, orphan_id: UUID, receipts: Sequence[Mapping[str, object]]
) -> None:
    """Of these tokens nothing is left to be revoked: keep what became of them, and not them."""
    async with database.transaction() as session:
        orphan = await session.get_one(OrphanRow, orphan_id)
        orphan.settled, orphan.sealed = [dict(receipt) for receipt in receipts], b""


async def renew(database: Database, claim: Claim) -> bool:
    """Extend the lease; False if the claim has been given back, or a successor holds it."""
    async with database.transaction() as session:
        result = await run(
            session,
            """
            UPDATE credentials SET lease_until = clock_timestamp() + :lease
            WHERE connection_id = :connection_id AND claim = :claim AND lease_until > 'epoch'
            """,
            {"connection_id": claim.connection_id, "claim": claim.number, "lease": LEASE},
        )
        return result.rowcount > 0


@dataclass(frozen=True)
class JournalEntry:
    """How a claim ended, for the journal; closed words only."""

    outcome: str
    may_have_acted: bool = False
    http_status: int | None = None
    code: str | None = None


async def close(session: AsyncSession, claim: Claim, entry: JournalEntry) -> bool:
    """Journal the outcome and give the claim back; False if a successor had it already."""
    await locked(session, claim.connection_id)  # before all else, as everywhere
    values = {"connection_id": claim.connection_id, "claim": claim.number}
    await run(
        session,
        """
        UPDATE refresh_journal
           SET finished_at = clock_timestamp(), outcome = :outcome,
               may_have_acted = :may_have_acted, http_status = :http_status, code = :code
         WHERE connection_id = :connection_id AND claim = :claim
        """,
        {**values, **vars(entry)},
    )
    result = await run(
        session,
        """
        UPDATE credentials SET lease_until = 'epoch'
        WHERE connection_id = :connection_id AND claim = :claim
        """,
        values,
    )
    return result.rowcount > 0


async def may_send(session: AsyncSession, claim: Claim) -> None:
    """Journal that from here on the provider may act, whether or not we see what comes of it."""
    await run(
        session,
        """
        UPDATE refresh_journal SET may_have_acted = true
        WHERE connection_id = :connection_id AND claim = :claim
        """,
        {"connection_id": claim.connection_id, "claim": claim.number},
    )


async def may_have_lost_answer(session: AsyncSession, claim: Claim) -> bool:
    """Whether an earlier refresh of this generation may have made the provider act unseen.

    One whose tokens came late and were kept is none: they are tried before a loss is declared.
    """
    result = await run(
        session,
        """
        SELECT 1 FROM refresh_journal
        WHERE connection_id = :connection_id AND generation = :generation AND claim < :claim
          AND kind = 'refresh'
          AND (outcome IS NULL OR may_have_acted AND outcome NOT IN ('stored', 'orphaned'))
        LIMIT 1
        """,
        {
            "connection_id": claim.connection_id,
            "generation": claim.generation,
            "claim": claim.number,
        },
    )
    return result.first() is not None


async def may_have_lost_tokens(session: AsyncSession, connection_id: UUID) -> bool:
    """Whether tokens may live at the provider that never reached us, and that nobody can revoke.

    A refresh that succeeds settles what an earlier one of its generation has lost. Each exchange of
    a code begins a grant of its own, which lives on beside every later one.
    """
    result = await run(session, _LOST_TOKENS, {"connection_id": connection_id})
    return result.first() is not None


_LOST_TOKENS: Final = """
SELECT 1 FROM refresh_journal AS call
WHERE connection_id = :connection_id
  AND (outcome IS NULL OR may_have_acted AND outcome NOT IN ('stored', 'orphaned', 'unreadable'))
  AND (kind = 'authorization' AND may_have_acted
       OR kind = 'refresh' AND NOT EXISTS (
           SELECT 1 FROM refresh_journal AS later
           WHERE later.connection_id = call.connection_id AND later.kind = 'refresh'
             AND later.generation = call.generation AND later.outcome = 'stored'))
LIMIT 1
"""
