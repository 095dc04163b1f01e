"""The first step of a connection's workflow: find out whose life this is.

Stores a new connection, or takes it up from its row where a workflow was lost and started again.
Refuses what does not fit: nothing is stored under another connection's id, and a finished
connection does not live again.
"""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.exchanges import standing_of
from activities.holding import beating
from activities.payloads import Adopt, Adopted
from activities.resources import Resources
from domain.connection import is_valid_alias, is_valid_slug
from domain.credentials import CredentialType
from domain.errors import ANOTHERS_ID, NotFound, ProviderConnectionError
from domain.status import ConnectionStatus
from providers.catalogue import Catalogue
from storage import connections, credentials, views
from storage.connections import NewConnection
from storage.database import lock_connection
from storage.tables import ConnectionRow


class Adoption:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def adopt_connection(self, request: Adopt) -> Adopted:
        """The connection this workflow is to live, or why there is none for it."""
        if refusal := self._refusal(request):
            return Adopted(refusal=refusal)
        async with self._resources.database.transaction() as session:
            at = await self._resources.clock.now(session)
            row = await lock_connection(session, request.connection_id)
            if row is None:
                kind = self._resources.catalogue.get(request.provider_slug).credential_type
                row = connections.create(session, born_as(request, kind), at)
            return await adopted(session, row, request, at, self._resources.catalogue)

    def _refusal(self, request: Adopt) -> str | None:
        if not is_valid_slug(request.provider_slug):
            return ProviderConnectionError.INVALID_PROVIDER_SLUG
        if not is_valid_alias(request.alias):
            return ProviderConnectionError.INVALID_ALIAS
        try:
            self._resources.catalogue.get(request.provider_slug)
        except NotFound as unknown:
            return str(unknown)
        return None


def born_as(request: Adopt, credential_type: CredentialType) -> NewConnection:
    """What a connection is born with."""
    return NewConnection(
        id=request.connection_id,
        user_id=request.user_id,
        provider_id=request.provider_id,
        provider_slug=request.provider_slug,
        alias=request.alias,
        credential_type=credential_type,
    )


async def adopted(
    session: AsyncSession,
    row: ConnectionRow,
    request: Adopt,
    at: datetime,
    catalogue: Catalogue,
) -> Adopted:
    """The stored connection as its workflow takes it up, unless it does not fit."""
    if refusal := _misfit(row, request):
        return Adopted(refusal=refusal)
    await session.flush()
    held = await connections.credentials_of(session, row.id)
    return Adopted(
        view=await views.get(session, row.id),
        standing=standing_of(held, at),
        age=at - row.status_since,
        holds_secrets=await credentials.holds_secrets(session, row.id),
        reads_data=catalogue.reads_data(row.provider_slug),
    )


def _misfit(row: ConnectionRow, request: Adopt) -> str | None:
    if (row.user_id, row.provider_slug) != (request.user_id, request.provider_slug):
        return ANOTHERS_ID
    if row.status == ConnectionStatus.DISCONNECTED:
        return ProviderConnectionError.CONNECTION_DISCONNECTED
    return None
