"""``ConnectProvider``: taking in credentials that were obtained elsewhere.

They are sealed and kept, with the rest of the command, before anything else happens: with the
database away nothing is accepted, and from then on an outage only delays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from client.messaging import Messaging
from domain.commands import ConnectProvider
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import (
    ANOTHERS_ID,
    WAITS_FOR_USER,
    Conflict,
    NotFound,
    ProviderConnectionError,
    Unreachable,
)
from domain.result import Failure, Result, Success
from domain.secret import Secret
from domain.status import ConnectionStatus
from storage import staging
from storage.database import Database, lock_connection, now
from storage.tables import ConnectionRow, StagedRow
from storage.vault import Vault
from workflows.messages import StartConnection

POLL_S: Final = 0.1
BIRTH_TIMEOUT: Final = timedelta(seconds=60)


AdmitGiven = Callable[[AsyncSession, UUID], Awaitable[None]]
"""Whether it may be kept here, under this id; what it raises keeps it from being so."""


class Imports:
    """Commands that bring credentials."""

    def __init__(self, messaging: Messaging, database: Database, vault: Vault) -> None:
        self._messaging = messaging
        self._database = database
        self._vault = vault

    async def seal(
        self,
        connection_id: UUID,
        secret: Mapping[str, Secret],
        credential_type: CredentialType,
        expires_at: datetime | None = None,
    ) -> ProviderCredentials:
        """Seal credentials for the connection of this id, which may be yet to be born.

        Raises:
            Conflict: it has been disconnected: its secrets are destroyed, and no new ones kept.
        """
        async with self._database.transaction() as session:
            await _refuse_ended(session, connection_id)
            sealed = await staging.seal(session, self._vault, connection_id, secret)
        return ProviderCredentials(sealed, credential_type, expires_at)

    async def keep(
        self,
        connection_id: UUID,
        secret: Mapping[str, Secret],
        credential_type: CredentialType,
        admit: AdmitGiven | None = None,
    ) -> UUID:
        """Keep what is to take the place of what is stored; the id of where it is kept.

        Raises:
            Conflict: the connection has been disconnected.
        """
        async with self._database.transaction() as session:
            await _refuse_ended(session, connection_id)
            sealed = await staging.seal(session, self._vault, connection_id, secret)
            credentials = ProviderCredentials(sealed, credential_type, None)
            at = await now(session)
            row = await staging.stage(session, self._vault, connection_id, credentials, at)
            if admit is not None:
                await session.flush()
                await admit(session, row.id)
            return row.id

    async def forget(self, staged_id: UUID) -> None:
        """Destroy what was kept and not taken."""
        async with self._database.transaction() as session:
            await staging.discard(session, staged_id)

    async def carry_out(self, command: ConnectProvider, connection_id: UUID) -> Result[UUID, str]:
        """Have the connection born, and wait until it is.

        Raises:
            Unreachable: nothing was accepted, or it was and is only delayed; says which.
        """
        async with self._database.transaction() as session:
            row = await session.get(ConnectionRow, connection_id)
            if row is not None:
                return _given_before(command, row)
            staged = None
            if command.credentials is not None:
                staged = await staging.stage(
                    session,
                    self._vault,
                    connection_id,
                    command.credentials,
                    await now(session),
                    command,
                )
        await self._start(command, connection_id, staged)
        return await self._born(command, connection_id)

    async def _start(
        self, command: ConnectProvider, connection_id: UUID, staged: StagedRow | None
    ) -> None:
        staged_id = staged.id if staged else None
        try:
            await self._messaging.start(_start_of(command, connection_id, staged_id))
        except Conflict:  # there is, or was, a connection of this id: what it is, is told below
            if staged is not None:
                async with self._database.transaction() as session:
                    await staging.remove(session, staged.id)
        except Unreachable as error:
            if staged is None:
                raise
            raise Unreachable(
                f"the command is kept, but {error}: give it again with the same id, "
                "or run `moorline doctor --fix` later"
            ) from None

    async def _born(self, command: ConnectProvider, connection_id: UUID) -> Result[UUID, str]:
        over = asyncio.ensure_future(self._messaging.result(connection_id))
        try:
            async with asyncio.timeout(BIRTH_TIMEOUT.total_seconds()):
                while not over.done():
                    with suppress(NotFound, Unreachable):
                        return await self._result(command, connection_id)
                    await asyncio.wait([over], timeout=POLL_S)
            await over
            return await self._result(command, connection_id)
        except Conflict as refused:
            return Failure(error=str(refused))
        except TimeoutError:
            raise Unreachable(
                "the command is kept, and no worker could carry it out yet; its log says why"
            ) from None
        finally:
            over.cancel()

    async def _result(self, command: ConnectProvider, connection_id: UUID) -> Result[UUID, str]:
        async with self._database.transaction() as session:
            row = await session.get(ConnectionRow, connection_id)
        if row is None:
            raise NotFound(f"no connection {connection_id}")
        return _given_before(command, row)


async def take_up(messaging: Messaging, kept: StagedRow) -> None:
    """Carry on with a command that was accepted and then forgotten.

    Raises:
        Conflict: it is being carried out.
    """
    command = staging.command_of(kept)
    await messaging.start(_start_of(command, kept.connection_id, kept.id))


def _start_of(
    command: ConnectProvider, connection_id: UUID, staged_id: UUID | None
) -> StartConnection:
    return StartConnection(
        connection_id=connection_id,
        user_id=command.user_id,
        provider_id=command.provider_id,
        provider_slug=command.provider_slug,
        alias=command.alias,
        imported=True,
        staged_id=staged_id,
    )


async def _refuse_ended(session: AsyncSession, connection_id: UUID) -> None:
    """Whatever is sealed after the end would outlive the shredding; the lock waits for one."""
    row = await lock_connection(session, connection_id)
    if row is not None and row.ended_at is not None:
        raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)


def _given_before(command: ConnectProvider, row: ConnectionRow) -> Result[UUID, str]:
    """What there is to say of a connection of this id: the command's own, or another."""
    if (row.user_id, row.provider_slug) != (command.user_id, command.provider_slug):
        return Failure(error=ANOTHERS_ID)
    if row.status == ConnectionStatus.PENDING:
        return Failure(error=WAITS_FOR_USER)
    if row.status == ConnectionStatus.DISCONNECTED:
        return Failure(error=ProviderConnectionError.CONNECTION_DISCONNECTED)
    return Success(value=row.id)
