"""Writing down what the workflow has decided: a new status, a new name, the beginning of the end.

Decides nothing: the entity's own rules are applied where the row is, in one transaction with the
event that tells of the change. Tried again, each of them changes nothing.
"""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.holding import beating
from activities.payloads import (
    AnnounceExpiry,
    EndConnection,
    Ended,
    PersistTransition,
    RenameConnection,
    Shown,
    VoidAuthorizations,
)
from activities.resources import Resources, cause
from domain.events import ConnectionExpiring, ProviderDisconnectionFailed
from domain.outcomes import Revocation
from domain.status import ConnectionStatus, StatusReason
from domain.view import Receipt
from storage import connect_sessions, connections, credentials, events, views
from storage.shredding import shred
from storage.tables import ConnectionRow


class Transitions:
    """The activities, and what they work with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def persist_transition(self, request: PersistTransition) -> Shown:
        """Change the status.

        Raises:
            Conflict: the entity refuses the transition.
        """
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            if request.receipt is not None:
                await _close(session, row, request.receipt, at)
            await connections.transition(
                session, row, request.status, request.reason, at=at, cause=cause()
            )
            if request.status is ConnectionStatus.DISCONNECTED:
                await shred(session, row, at=at, cause=cause())
            return await _shown(session, row)

    @activity.defn
    @beating
    async def announce_expiry(self, request: AnnounceExpiry) -> None:
        """Record that a known end is near, unless the connection has left ACTIVE meanwhile."""
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            if row.status == ConnectionStatus.ACTIVE and row.ended_at is None:
                event = ConnectionExpiring(
                    **connections.subject(row, at),
                    reason=request.reason,
                    days_left=request.days_left,
                    ends_at=request.ends_at,
                )
                await events.append(session, row, event, cause())

    @activity.defn
    @beating
    async def end_connection(self, request: EndConnection) -> Ended:
        """Note that the end has been asked for: from the commit on no lease, claim or sync."""
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            await connections.end(session, row, at=at, cause=cause())
            held = await credentials.holds_secrets(session, row.id)
            return Ended(view=(await _shown(session, row)).view, holds_secrets=held)

    @activity.defn
    @beating
    async def void_authorizations(self, request: VoidAuthorizations) -> Shown:
        """Void what was begun, where no status changes and hence nothing else does it."""
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            await connect_sessions.void(session, row.id, StatusReason.USER_REVOKED, at)
            return await _shown(session, row)

    @activity.defn
    @beating
    async def rename_connection(self, request: RenameConnection) -> Shown:
        """Change the user's own name for the connection."""
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            await connections.rename(session, row, request.alias, at=at, cause=cause())
            return await _shown(session, row)


async def _close(session: AsyncSession, row: ConnectionRow, receipt: Receipt, at: datetime) -> None:
    row.receipt = receipt.model_dump(mode="json")
    if any(token.result is Revocation.GAVE_UP for token in receipt.tokens):
        failed = ProviderDisconnectionFailed(
            **connections.subject(row, at), reason=Revocation.GAVE_UP
        )
        await events.append(session, row, failed, cause())


async def _shown(session: AsyncSession, row: ConnectionRow) -> Shown:
    await session.flush()
    return Shown(view=await views.get(session, row.id))
