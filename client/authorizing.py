"""Authorizing a connection, first or anew: by what a provider sends back, or its user gives."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from client.authorizations import Admit, Authorizations, Received
from client.imports import AdmitGiven, Imports
from client.messaging import Messaging
from client.reading import POLL_S
from client.refusals import NotVerified
from client.talking import Talking
from domain.errors import Conflict, InvalidInput, MoorlineError, NotFresh, Unreachable
from domain.pages import Pages
from domain.secret import Secret
from domain.view import ConnectionView
from domain.words import one
from providers.catalogue import Catalogue
from storage.database import Database
from storage.vault import Vault
from workflows.messages import AuthorizationBegun, Authorize, BeginAuthorization, SupplyKey

HEEDED_WITHIN: Final = timedelta(seconds=20)


class Authorizing(Talking):
    """What makes a connection ACTIVE."""

    def __init__(
        self, messaging: Messaging, database: Database, vault: Vault, catalogue: Catalogue
    ) -> None:
        super().__init__(messaging, database, catalogue)
        self._authorizations = Authorizations(database, vault, catalogue)
        self._imports = Imports(messaging, database, vault)

    async def begin_authorization(
        self, connection_id: UUID, pages: Pages = Pages.LOOPBACK
    ) -> AuthorizationBegun:
        """Begin an authorization, first or anew; any status but DISCONNECTED."""
        question = BeginAuthorization(pages=pages)
        return await self._ask(connection_id, "begin_authorization", question, AuthorizationBegun)

    async def provider_url(self, attempt_id: UUID) -> str:
        """The provider's authorize URL. Carries ``state``: for the user's browser only."""
        return await self._authorizations.provider_url(attempt_id)

    async def receive_redirect(
        self,
        redirected_url: str,
        *,
        connection_id: UUID | None = None,
        admit: Admit | None = None,
    ) -> Received:
        """Take in what the provider sent the browser back with; then ``authorize``.

        Args:
            connection_id: refuse, and use nothing up, if it belongs to another connection.
            admit: looks, before anything is used up, whether this browser may bring it.
        """
        return await self._authorizations.receive(redirected_url, connection_id, admit)

    async def authorize(self, received: Received) -> ConnectionView:
        """Exchange what came back.

        Raises:
            Conflict: the user declined, the provider refused, or it was interrupted; says which.
        """
        question = Authorize(attempt_id=received.attempt_id)
        return await self._ask(received.connection_id, "authorize", question, ConnectionView)

    async def supply(self, connection_id: UUID, secret: Mapping[str, Secret]) -> ConnectionView:
        """Put what its user gives in the place of what is stored: ACTIVE again, in place.

        Args:
            secret: by the connection's type, see ``CredentialType``.

        Raises:
            Conflict: it is not good, or the connection has ended.
            NotFresh: the provider cannot say now whether it is good; nothing is kept.
            InvalidInput: its provider asks users on a page of its own, or a part is missing.
        """
        staged_id = await self.keep(connection_id, secret)
        try:
            return await self.use(connection_id, staged_id)
        except NotVerified:
            await self._imports.forget(staged_id)
            raise

    async def supply_key(self, connection_id: UUID, api_key: Secret) -> ConnectionView:
        """The same with an API key."""
        return await self.supply(connection_id, {"api_key": api_key})

    async def keep(
        self,
        connection_id: UUID,
        secret: Mapping[str, Secret],
        admit: AdmitGiven | None = None,
    ) -> UUID:
        """Keep what its user gives, sealed, until ``use``; the id of where it is kept.

        Args:
            admit: looks, in the same transaction, whether this browser may bring it.

        Raises:
            Conflict: the connection has ended.
            InvalidInput: its provider asks users on a page of its own, or a part is missing.
        """
        view = await self.view(connection_id)
        kind = view.credential_type
        self._catalogue.given(view.provider_slug)
        if not all(secret.get(name) for name in kind.needs):
            raise InvalidInput(f"{one(kind)} consists of {', '.join(kind.needs)}")
        await self._revoked(connection_id)
        return await self._imports.keep(connection_id, secret, kind, admit)

    async def use(self, connection_id: UUID, staged_id: UUID) -> ConnectionView:
        """Have what was kept verified and stored; what is not good is destroyed.

        Raises:
            Conflict: it is not good, or the connection has ended.
            NotFresh: the provider cannot say now whether it is good; it is kept for another try.
        """
        try:
            question = SupplyKey(staged_id=staged_id)
            return await self._ask(connection_id, "supply_key", question, ConnectionView)
        except (Unreachable, NotFresh):
            raise  # not now, or it may have been heard all the same
        except MoorlineError:
            await self._imports.forget(staged_id)
            raise

    async def _revoked(self, connection_id: UUID) -> None:
        """Wait for a revocation that is under way: it ends with the shredding of all that is kept.

        Raises:
            Conflict: it takes too long.
        """
        try:
            async with asyncio.timeout(HEEDED_WITHIN.total_seconds()):
                while (await self.view(connection_id)).revoking is not None:
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise Conflict("the old one is still being revoked; try again") from None
