"""Reading connections: from PostgreSQL alone, whatever else is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from domain.credentials import CredentialType
from domain.errors import Conflict
from domain.explanation import Explanation, explain
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from providers.catalogue import Catalogue
from providers.entry import OAuth2Entry
from storage import events, views
from storage.database import Database, now
from storage.tables import ConnectionRow, EventRow
from storage.views import Place

POLL_S: Final = 0.1


@dataclass(frozen=True)
class Offer:
    """A provider, as users see it."""

    slug: str
    name: str
    credential_type: CredentialType
    scopes: tuple[str, ...]


class Reading:
    """What there is to read, of connections and of the providers they are at."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    def knows(self, provider_slug: str) -> bool:
        """Whether the catalogue has this provider: what is connected to another is never used."""
        return provider_slug in self._catalogue.slugs()

    def offer(self, provider_slug: str) -> Offer:
        """What a user is told of a provider before anything is begun.

        Raises:
            NotFound: unknown provider.
        """
        entry = self._catalogue.get(provider_slug)
        scopes = entry.scopes if isinstance(entry, OAuth2Entry) else ()
        return Offer(entry.slug, entry.name, entry.credential_type, tuple(scopes))

    async def view(self, connection_id: UUID) -> ConnectionView:
        """The connection as anyone may see it."""
        async with self._database.transaction() as session:
            return await views.get(session, connection_id)

    async def is_stored(self, connection_id: UUID) -> bool:
        """Whether there is a connection of this id."""
        async with self._database.transaction() as session:
            return await session.get(ConnectionRow, connection_id) is not None

    async def explain(self, connection_id: UUID) -> Explanation:
        """The connection in plain words."""
        async with self._database.transaction() as session:
            return explain(await views.get(session, connection_id), await now(session))

    async def list(
        self,
        *,
        user_id: UUID | None = None,
        provider_slug: str | None = None,
        status: ConnectionStatus | None = None,
        limit: int = 1000,
        before: Place | None = None,
    ) -> Sequence[ConnectionView]:
        """Connections that match all that is given, the newest first.

        Args:
            before: only those that follow this place, which is the last one's of a page.
        """
        async with self._database.transaction() as session:
            return await views.find(
                session,
                user_id=user_id,
                provider_slug=provider_slug,
                status=status,
                limit=limit,
                before=before,
            )

    async def events(self, connection_id: UUID) -> Sequence[EventRow]:
        """Everything that happened to it, in order."""
        async with self._database.transaction() as session:
            return await events.read(session, connection_id)

    async def wait_for(
        self, connection_id: UUID, *statuses: ConnectionStatus, within: timedelta
    ) -> ConnectionView:
        """Until it has one of these statuses.

        Raises:
            TimeoutError: it has not, in time.
        """
        async with asyncio.timeout(within.total_seconds()):
            while (view := await self.view(connection_id)).status not in statuses:
                await asyncio.sleep(POLL_S)
        return view

    async def _expect_none(self, connection_id: UUID) -> None:
        """Also finds out that the database is away before a workflow would wait for it.

        Raises:
            Conflict: there is a connection of this id already.
        """
        if await self.is_stored(connection_id):
            raise Conflict(f"connection {connection_id} exists already")
