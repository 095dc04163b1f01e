"""Putting what a user gives in the place of what they gave before: another API key, another file.

It is verified first; only what is good is stored, as the next generation. The old one stays what it
is at the provider: only its user can delete it there.
"""

from typing import Final, NoReturn
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.exchanges import current_standing
from activities.given import refusal_of, sealed
from activities.holding import to_the_end
from activities.payloads import Authenticated, ReplaceApiKey
from activities.resources import Resources, cause
from domain.credentials import CredentialType
from domain.errors import Conflict, NotFound, ProviderConnectionError
from domain.events import ConnectionReauthorized
from domain.status import ConnectionStatus
from providers.given import GivenRefusal
from storage import data_keys, events, staging
from storage.connections import credentials_of, locked, subject
from storage.credentials import must_act_by, replace
from storage.tables import StagedRow
from storage.vault import DataKey

GONE: Final = "nothing of this id is waiting to be stored"
NOT_VERIFIED: Final = "NotVerified"
"""The type of the failure that says: it may be good, and the provider cannot say so now."""


class KeyReplacement:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def replace_api_key(self, request: ReplaceApiKey) -> Authenticated:
        """Verify what is staged and store it; tried again, it stores nothing twice.

        Raises:
            NotFound: no such thing is staged for this connection, or it was refused before.
            Conflict: it is not good.
            ApplicationError: whether it is cannot be told now; it stays where it is.
            Unreachable: the database is away; tried again.
        """
        return await to_the_end(self._replace(request))

    async def _replace(self, request: ReplaceApiKey) -> Authenticated:
        async with self._resources.database.transaction() as session:
            connection = await locked(session, request.connection_id)
            staged = await staging.get(session, request.staged_id)
            if staged is None or staged.connection_id != connection.id:
                raise NotFound(GONE)
            if staged.generation is None:
                key = await data_keys.obtain(session, self._resources.vault, connection.id)
        if staged.generation is None:
            secret = staging.open_staged(key, staged)
            kind = CredentialType(connection.credential_type)
            refusal = await refusal_of(self._resources, connection.provider_slug, kind, secret)
            if refusal is not None:
                await self._turn_away(staged.id, refusal)
            async with self._resources.database.transaction() as session:
                await self._store(session, request, key)
        return Authenticated(standing=await current_standing(self._resources, connection.id))

    async def _turn_away(self, staged_id: UUID, refusal: GivenRefusal) -> NoReturn:
        if refusal.passes:  # kept: whoever brought it may try again
            raise ApplicationError(refusal.message, type=NOT_VERIFIED, non_retryable=True)
        async with self._resources.database.transaction() as session:
            await staging.remove(session, staged_id)
        raise Conflict(refusal.message)

    async def _store(self, session: AsyncSession, request: ReplaceApiKey, key: DataKey) -> None:
        connection = await locked(session, request.connection_id)
        staged = await session.get(StagedRow, request.staged_id)
        if staged is None:
            raise NotFound(GONE)
        if connection.ended_at is not None:
            raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)
        if staged.generation is not None:
            return  # by an earlier attempt that is thought dead
        current = await credentials_of(session, connection.id)
        at = await self._resources.clock.now(session)
        envelope = sealed(
            self._resources,
            connection.provider_slug,
            key,
            staging.open_staged(key, staged),
            generation=max(current.generation, request.generation) + 1,
            claim=current.claim,
            ends_at=staged.expires_at,
            at=at,
        )
        replace(current, envelope, at)
        await staging.used(session, staged, envelope.generation)
        connection.updated_at = at
        connection.reauthorize_by = must_act_by(envelope)
        connection.degraded_since = connection.degraded_cause = connection.retry_at = None
        connection.failures = 0
        if connection.status == ConnectionStatus.ACTIVE:
            event = ConnectionReauthorized(**subject(connection, at))
            await events.append(session, connection, event, cause())
