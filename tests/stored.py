"""A database of one test's own, and a few strokes to put into it what a test is about."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import col, select
from uuid6 import uuid7

from domain.connection import provider_id_of
from domain.credentials import CredentialType
from domain.deadlines import Deadline, DeadlineKind, DeadlineSource
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from storage import attempts, claims, connections, credentials, data_keys, events
from storage.attempts import AttemptSecrets, AttemptStatus
from storage.claims import Claim, NotClaimed, Purpose
from storage.connections import NewConnection
from storage.credentials import SEALED_AS, Committed, Envelope
from storage.database import Database, run
from storage.keyring import Keyring, new_key
from storage.shredding import shred
from storage.tables import (
    AttemptRow,
    ConnectionRow,
    CredentialsRow,
    EventRow,
    JournalRow,
    OrphanRow,
)
from storage.vault import DataKey, Vault, WrappedKey

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new_vault(*key_ids: str) -> Vault:
    """A vault with fresh keys of these ids, the first of them primary."""
    ids = key_ids or ("one",)
    return Vault(Keyring.parse(",".join(new_key(key_id) for key_id in ids), "keys"))


async def keep_wrapped(database: Database, wrapped: Sequence[WrappedKey]) -> None:
    """Data keys of connections that are yet to be born."""
    async with database.transaction() as session:
        for each in wrapped:
            await run(
                session,
                "INSERT INTO data_keys (id, connection_id, key_id, wrapped, created_at) "
                "VALUES (:id, :connection_id, :key_id, :wrapped, now())",
                vars(each),
            )


def deadline(kind: DeadlineKind, after: timedelta) -> Deadline:
    return Deadline(kind, AT + after, DeadlineSource.RESPONSE)


@dataclass
class Stored:
    """The database, the vault its secrets are sealed with, and what is in it."""

    database: Database
    vault: Vault
    url: str

    # -- putting something in ------------------------------------------------------------------

    async def pending(self, **changes: Any) -> UUID:
        """A connection without credentials."""
        usual: dict[str, Any] = {
            "id": uuid4(),
            "user_id": uuid4(),
            "provider_id": provider_id_of("schwab"),
            "provider_slug": "schwab",
            "alias": None,
            "credential_type": CredentialType.OAUTH2,
        }
        new = NewConnection(**{**usual, **changes})
        async with self.database.transaction() as session:
            connections.create(session, new, AT)
        return new.id

    async def active(self, **changes: Any) -> UUID:
        """A connection that was authorized once."""
        connection_id = await self.pending(**changes)
        claim = await self.claimed(connection_id, Purpose.AUTHORIZATION)
        await self.commit(await self.envelope(claim))
        await self.become(connection_id, ConnectionStatus.ACTIVE)
        return connection_id

    async def key(self, connection_id: UUID) -> DataKey:
        async with self.database.transaction() as session:
            return await data_keys.obtain(session, self.vault, connection_id)

    async def take(
        self, connection_id: UUID, purpose: Purpose = Purpose.REFRESH, generation: int | None = None
    ) -> Claim | NotClaimed:
        return await claims.take(self.database, connection_id, purpose, generation)

    async def claimed(self, connection_id: UUID, purpose: Purpose | None = None) -> Claim:
        """A claim: for refreshing where the connection is ACTIVE, else for authorizing it."""
        claim = await self.take(connection_id, purpose or Purpose.REFRESH)
        if claim is NotClaimed.INACTIVE:
            claim = await self.take(connection_id, Purpose.AUTHORIZATION)
        assert isinstance(claim, Claim)
        return claim

    async def envelope(
        self,
        claim: Claim,
        *,
        purpose: Purpose | None = None,
        generation: int | None = None,
        access_token: str = "mlcanary-at",
        refresh_at: datetime | None = AT + HOUR / 2,
        deadlines: Sequence[Deadline] = (deadline(DeadlineKind.ACCESS_TOKEN, HOUR),),
        attempt_id: UUID | None = None,
    ) -> Envelope:
        """New tokens, sealed for the generation after the claim's."""
        key = await self.key(claim.connection_id)
        following = claim.generation + 1 if generation is None else generation
        first = claim.generation == 0
        return Envelope(
            connection_id=claim.connection_id,
            purpose=purpose or (Purpose.AUTHORIZATION if first else Purpose.REFRESH),
            generation=following,
            claim=claim.number,
            data_key_id=key.id,
            sealed=key.seal(
                SEALED_AS, following, {"access_token": access_token, "refresh_token": "mlcanary-rt"}
            ),
            token_type="Bearer",
            refreshable=refresh_at is not None,
            sent_at=AT,
            refresh_at=refresh_at,
            deadlines=tuple(deadlines),
            attempt_id=attempt_id,
        )

    async def commit(self, envelope: Envelope) -> Committed:
        async with self.database.transaction() as session:
            row = await connections.locked(session, envelope.connection_id)
            return await credentials.commit(session, row, envelope, AT)

    async def become(
        self,
        connection_id: UUID,
        status: ConnectionStatus,
        reason: StatusReason = StatusReason.AUTHORIZED,
        cause: str | None = None,
    ) -> None:
        async with self.database.transaction() as session:
            row = await connections.locked(session, connection_id)
            cause = cause or f"test-{secrets.token_hex(4)}"
            await connections.transition(session, row, status, reason, at=AT, cause=cause)

    async def end(self, connection_id: UUID, at: datetime = AT) -> None:
        async with self.database.transaction() as session:
            row = await connections.locked(session, connection_id)
            await connections.end(session, row, at=at, cause=f"end-{uuid4()}")

    async def shred(self, connection_id: UUID) -> None:
        async with self.database.transaction() as session:
            row = await connections.locked(session, connection_id)
            await shred(session, row, at=AT, cause=f"shred-{uuid4()}")

    async def attempt(
        self, connection_id: UUID, state: str | None = None, cause: str | None = None
    ) -> AttemptRow:
        """An authorization that was begun at ``AT``."""
        key = await self.key(connection_id)
        row = AttemptRow(
            id=uuid7(),
            connection_id=connection_id,
            cause=cause or f"begun-{uuid4()}",
            state_hash=b"",
            data_key_id=key.id,
            sealed=b"",
            redirect_uri="http://127.0.0.1:8400/callback",
            endpoints={"token_url": "https://provider.example/token"},
            status=AttemptStatus.PENDING,
            created_at=AT,
            expires_at=AT + attempts.WINDOW,
        )
        state = state or f"mlcanary-state-{uuid4()}"
        secret = AttemptSecrets(state=Secret(state), verifier=Secret("mlcanary-verifier"))
        async with self.database.transaction() as session:
            return await attempts.begin(session, row, key, secret)

    async def change(self, statement: str, **values: object) -> int:
        """Do something to the rows that no code of ours would; how many it was done to."""
        async with self.database.transaction() as session:
            return (await run(session, statement, values)).rowcount

    async def lapse(self, connection_id: UUID) -> None:
        """The holder of the claim was killed, and its lease has run out."""
        assert await self.change(
            "UPDATE credentials SET lease_until = clock_timestamp() - interval '1 second' "
            "WHERE connection_id = :id",
            id=connection_id,
        )

    # -- looking what is there -----------------------------------------------------------------

    async def connection(self, connection_id: UUID) -> ConnectionRow:
        async with self.database.transaction() as session:
            return await session.get_one(ConnectionRow, connection_id)

    async def credentials(self, connection_id: UUID) -> CredentialsRow:
        async with self.database.transaction() as session:
            return await session.get_one(CredentialsRow, connection_id)

    async def secret(self, connection_id: UUID) -> dict[str, Secret]:
        """What is stored, opened."""
        row = await self.credentials(connection_id)
        assert row.sealed is not None
        key = await self.key(connection_id)
        return key.open(SEALED_AS, row.generation, row.sealed)

    async def journal(self, connection_id: UUID) -> list[JournalRow]:
        query = select(JournalRow).where(JournalRow.connection_id == connection_id)
        async with self.database.transaction() as session:
            return list((await session.exec(query.order_by(col(JournalRow.claim)))).all())

    async def orphans(self, connection_id: UUID) -> list[OrphanRow]:
        async with self.database.transaction() as session:
            return list(await claims.orphans(session, connection_id))

    async def events(self, connection_id: UUID) -> list[EventRow]:
        async with self.database.transaction() as session:
            return await events.read(session, connection_id)

    async def event_types(self, connection_id: UUID) -> list[str]:
        return [row.type for row in await self.events(connection_id)]

    async def value(self, statement: str, **values: object) -> Any:
        """The one value that a query finds."""
        async with self.database.transaction() as session:
            return (await run(session, statement, values)).scalar_one()

    async def somebody_waits(self) -> None:
        """Until somebody waits for a lock in this database."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(10):
            while not await self.value(waiting):
                await asyncio.sleep(0.01)

    async def lost_answer(self, claim: Claim) -> bool:
        async with self.database.transaction() as session:
            return await claims.may_have_lost_answer(session, claim)
