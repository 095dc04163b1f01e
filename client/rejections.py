"""What follows when a provider refuses a token that was leased: another one, or a second look.

The caller says which generation was refused, so that a thousand callers with one refused token
cause one refresh, and one who is late causes none. What a user gave cannot be renewed: it is
verified.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from client.leasing import NO_TTL, EnsureFresh
from client.refusals import needs_user
from domain.errors import Conflict, InvalidInput, NotFresh, ProviderConnectionError
from domain.schedule import LONGEST_FLOOR
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from domain.words import GIVEN
from providers.catalogue import Catalogue
from storage import views
from storage.database import Database, now

VERIFIED_LATELY: Final = "the {} was verified moments ago; it can be again in a minute"


@dataclass(frozen=True)
class Rejection:
    """What came of it, and the generation that is to be used from now on."""

    outcome: Literal["out_of_date", "refreshed", "verified"]
    generation: int


class Rejections:
    """Reads how things stand, and has the workflow see to it.

    Args:
        ensure_fresh: has a token newer than a generation made; raises ``NotFresh`` if it cannot.
    """

    def __init__(self, database: Database, catalogue: Catalogue, ensure_fresh: EnsureFresh) -> None:
        self._database = database
        self._catalogue = catalogue
        self._ensure_fresh = ensure_fresh

    async def after(self, connection_id: UUID, generation: int) -> Rejection:
        """The provider has refused the token of this generation.

        Raises:
            NotFound: no such connection.
            InvalidInput: there has been no such generation yet.
            NeedsUser: only the user can bring it back.
            Conflict: its end has been asked for.
            NotFresh: there is no newer token, or it could not be verified, for now.
        """
        view, asked_at = await self._usable(connection_id)
        if generation > view.generation:
            raise InvalidInput("no token of this generation has been handed out")
        if generation < view.generation:
            return Rejection("out_of_date", view.generation)
        if view.credential_type.is_given:
            return await self._verify(view, asked_at)
        await self._ensure_fresh(connection_id, generation, NO_TTL, asked_at)
        view, _ = await self._usable(connection_id)
        return Rejection("refreshed", view.generation)

    async def _verify(self, before: ConnectionView, asked_at: datetime) -> Rejection:
        """The engine verifies that of which a newer one is wanted, and says there is none."""
        try:
            await self._ensure_fresh(before.connection_id, before.generation, NO_TTL, asked_at)
        except NotFresh:
            view, _ = await self._usable(before.connection_id)
            verified_at = self._verified_at(view)
            if view.trouble is not None or verified_at is None:
                raise
            if verified_at < asked_at:
                said = VERIFIED_LATELY.format(GIVEN[view.credential_type])
                again_at = verified_at + LONGEST_FLOOR
                raise NotFresh(said, retry_at=again_at, retry_in=again_at - asked_at) from None
            return Rejection("verified", view.generation)
        view, _ = await self._usable(before.connection_id)
        return Rejection("refreshed", view.generation)

    def _verified_at(self, view: ConnectionView) -> datetime | None:
        every = self._catalogue.given(view.provider_slug).verify_every
        return None if view.refresh_at is None or every is None else view.refresh_at - every

    async def _usable(self, connection_id: UUID) -> tuple[ConnectionView, datetime]:
        """The connection, where a token of it may be used, and the instant of the database."""
        async with self._database.transaction() as session:
            view, at = await views.get(session, connection_id), await now(session)
        if view.ending or view.status is ConnectionStatus.DISCONNECTED:
            raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)
        if view.status is not ConnectionStatus.ACTIVE:
            raise needs_user(view.status, view.reason)
        return view, at
