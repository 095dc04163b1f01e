"""Talking to a connection's workflow, and saying what it means where there is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from client.messaging import Messaging
from client.reading import Reading
from client.refusals import Gone
from domain.errors import Conflict, ProviderConnectionError, Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from providers.catalogue import Catalogue
from storage.database import Database
from workflows.messages import Fresh, Message

AnswerT = TypeVar("AnswerT")


class Talking(Reading):
    """Messages, and refreshes that are noticed to have come to nothing."""

    def __init__(self, messaging: Messaging, database: Database, catalogue: Catalogue) -> None:
        super().__init__(database, catalogue)
        self._messaging = messaging

    async def _ask(
        self, connection_id: UUID, name: str, question: Message, answer: type[AnswerT]
    ) -> AnswerT:
        async with self._living(connection_id):
            return await self._messaging.ask(connection_id, name, question, answer)

    async def _tell(self, connection_id: UUID, name: str, command: Message) -> None:
        async with self._living(connection_id):
            await self._messaging.tell(connection_id, name, command)

    async def _newer_than(
        self, connection_id: UUID, generation: int, min_ttl: timedelta, at: datetime
    ) -> None:
        async with self._living(connection_id):
            fresh = await self._messaging.newer_than(connection_id, generation, min_ttl, at)
            if lags(await self.view(connection_id), fresh):
                await self._messaging.newer_than(connection_id, fresh.generation, min_ttl, at)

    @asynccontextmanager
    async def _living(self, connection_id: UUID) -> AsyncIterator[None]:
        """Say what it means that there is no workflow to talk to."""
        try:
            yield
        except Gone:
            view = await self.view(connection_id)
            if view.status is ConnectionStatus.DISCONNECTED:
                raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED) from None
            raise Unreachable(
                f"the workflow of connection {connection_id} is gone: run `moorline doctor --fix`"
            ) from None


def lags(view: ConnectionView, fresh: Fresh) -> bool:
    """Whether the database was restored from a backup, and its workflow is to find it out."""
    return view.generation < fresh.generation
