"""A reading that was asked for: which one it is, and waiting until it has ended.

One that ran already when ours was asked for is not ours: it may have passed what we want to see.
Readings have numbers; ours is the first that begins after we asked.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from client.connections import ConnectionsClient
from domain.errors import Conflict, NeedsUser, ProviderConnectionError
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from domain.words import WHY
from storage.database import Database
from storage.tables import SyncRow

WITHIN_S: Final = 600
POLL_S: Final = 0.1


@dataclass(frozen=True)
class Rereading:
    """A reading that was asked for after the one of this number had begun."""

    database: Database
    client: ConnectionsClient
    connection_id: UUID
    after: int

    @classmethod
    async def begin(
        cls, database: Database, client: ConnectionsClient, connection_id: UUID
    ) -> Self:
        """Ask for it.

        Raises:
            NeedsUser: the connection is not ACTIVE.
            Conflict: it has been disconnected.
            InvalidInput: nothing is read from its provider.
        """
        _check(await client.view(connection_id))
        latest = await _latest(database, connection_id)
        await client.sync_now(connection_id)
        return cls(database, client, connection_id, 0 if latest is None else latest.number)

    async def ended(self, progress: Callable[[str], None]) -> ConnectionView:
        """The connection, once it has been read or that has failed.

        Raises:
            NeedsUser, Conflict: the connection is not ACTIVE any more; nothing is read.
            TimeoutError: it has not been read in time.
        """
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(WITHIN_S):
                while not await self._has_ended():
                    progress(f"reading ({asyncio.get_running_loop().time() - began:.0f} s)")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise TimeoutError(
                "it is still being read, or no worker has taken it up yet: "
                f"`moorline explain {self.connection_id}` says how it goes"
            ) from None
        return await self.client.view(self.connection_id)

    async def _has_ended(self) -> bool:
        # First: a connection that has left ACTIVE is not read, though its number moves on then.
        _check(await self.client.view(self.connection_id))
        row = await _latest(self.database, self.connection_id)
        if row is None or row.number <= self.after or row.finished_at is None:
            return False
        return row.finished_at >= row.begun_at


async def _latest(database: Database, connection_id: UUID) -> SyncRow | None:
    async with database.transaction() as session:
        return await session.get(SyncRow, connection_id)


def _check(view: ConnectionView) -> None:
    if view.ending or view.status is ConnectionStatus.DISCONNECTED:
        raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)
    if view.status is not ConnectionStatus.ACTIVE:
        message = f"the connection is {view.status}: {WHY[view.reason]}"
        raise NeedsUser(message, status=view.status, reason=view.reason)
