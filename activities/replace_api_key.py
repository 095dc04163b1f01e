"""Putting another API key in the place of one: for a connection whose key was deleted, or is to be.

The new key is shown to the provider first; only a good one is stored, as the next generation. The
old one stays what it is at the provider: only its user can delete it there.
"""

from datetime import timedelta
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.exchanges import current_standing
from activities.holding import to_the_end
from activities.payloads import Authenticated, ReplaceApiKey
from activities.resources import Resources, cause
from domain.errors import Conflict, NotFound, ProviderConnectionError
from domain.events import ConnectionReauthorized
from domain.status import ConnectionStatus
from providers.api_key import ApiKey
from storage import data_keys, events, staging
from storage.claims import Purpose
from storage.connections import credentials_of, locked, subject
from storage.credentials import SEALED_AS, Envelope, replace
from storage.tables import StagedRow
from storage.vault import DataKey

WITHIN: Final = timedelta(seconds=10)
GONE: Final = "no such API key is waiting to be stored"


class KeyReplacement:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def replace_api_key(self, request: ReplaceApiKey) -> Authenticated:
        """Verify the staged key and store it; tried again, it stores nothing twice.

        Raises:
            NotFound: no such key is staged for this connection, or it was refused before.
            Conflict: the provider does not take it, or cannot say now.
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
            entry = self._resources.catalogue.api_key(connection.provider_slug)
            api_key = staging.open_staged(key, staged)["api_key"]
            refusal = await ApiKey(entry, self._resources.http).refusal_of(api_key, within=WITHIN)
            async with self._resources.database.transaction() as session:
                if refusal is None:
                    every = entry.verify_every
                    await self._store(session, request, key, every)
                else:
                    await staging.remove(session, staged.id)
            if refusal is not None:
                raise Conflict(refusal.message)
        return Authenticated(standing=await current_standing(self._resources, connection.id))

    async def _store(
        self,
        session: AsyncSession,
        request: ReplaceApiKey,
        key: DataKey,
        verify_every: timedelta,
    ) -> None:
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
        generation = max(current.generation, request.generation) + 1
        document = {
            name: value.reveal() for name, value in staging.open_staged(key, staged).items()
        }
        envelope = Envelope(
            connection_id=connection.id,
            purpose=Purpose.AUTHORIZATION,
            generation=generation,
            claim=current.claim,
            data_key_id=key.id,
            sealed=key.seal(SEALED_AS, generation, document),
            token_type=None,
            refreshable=False,
            sent_at=at,
            refresh_at=at + verify_every,
            deadlines=(),
        )
        replace(current, envelope, at)
        await staging.used(session, staged, generation)
        connection.updated_at = at
        connection.degraded_since = connection.degraded_cause = connection.retry_at = None
        connection.failures = 0
        if connection.status == ConnectionStatus.ACTIVE:
            event = ConnectionReauthorized(**subject(connection, at))
            await events.append(session, connection, event, cause())
