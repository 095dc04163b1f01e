"""The browser's side of an authorization: where to send it, and what it brings back.

The authorize URL is built here, from what the database keeps sealed, because it carries ``state``
and must not pass through Temporal. What comes back is parked sealed for at most a minute.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import Conflict, InvalidInput
from domain.events import AuthorizationCallbackRejected
from providers.catalogue import Catalogue
from providers.oauth2 import authorization_url
from providers.redirects import Redirect, check_issuer, parse_redirect
from storage import attempts, events
from storage.connections import locked, subject
from storage.database import Database, now
from storage.tables import AttemptRow, ConnectionRow
from storage.vault import Vault


@dataclass(frozen=True)
class Received:
    """A redirect has come back and belongs to this attempt; ``authorize`` takes it from here."""

    connection_id: UUID
    attempt_id: UUID


Admit = Callable[[AsyncSession, AttemptRow], Awaitable[None]]
"""Whether a redirect may be taken in for its attempt; raises ``InvalidInput`` if not."""


class Authorizations:
    """Reads and parks; decides nothing."""

    def __init__(self, database: Database, vault: Vault, catalogue: Catalogue) -> None:
        self._database = database
        self._vault = vault
        self._catalogue = catalogue

    async def provider_url(self, attempt_id: UUID) -> str:
        """The provider's authorize URL of an attempt. Carries ``state``: for the browser only.

        Raises:
            NotFound: no such attempt.
            Conflict: it is over.
        """
        async with self._database.transaction() as session:
            row = await attempts.get(session, attempt_id)
            attempts.expect_answer(row, await now(session))
            secrets = await attempts.secrets_of(session, self._vault, row)
            connection = await session.get_one(ConnectionRow, row.connection_id)
        return authorization_url(
            self._catalogue.oauth2(connection.provider_slug),
            redirect_uri=row.redirect_uri,
            state=secrets.state,
            verifier=secrets.verifier,
        )

    async def receive(
        self, redirected_url: str, expected: UUID | None = None, admit: Admit | None = None
    ) -> Received:
        """Take in a redirect: park its code, or note the refusal.

        One that is turned away uses nothing up, and is recorded.

        Raises:
            InvalidInput: it cannot be read, comes from another issuer or to another address, or
                belongs to another connection than is expected.
            NotFound: its state was never sent by us.
            Conflict: its attempt has had its answer, or its time is over.
        """
        redirect = parse_redirect(redirected_url)
        try:
            return await self._receive(redirect, expected, admit)
        except InvalidInput as error:
            await self._record(redirect, str(error))
            raise

    async def _receive(
        self, redirect: Redirect, expected: UUID | None, admit: Admit | None
    ) -> Received:
        async with self._database.transaction() as session:
            row = await attempts.by_state(session, redirect.state)
            if expected is not None and row.connection_id != expected:
                raise InvalidInput("this address belongs to another connection's authorization")
            if admit is not None:
                await admit(session, row)
            connection = await session.get_one(ConnectionRow, row.connection_id)
            if connection.ended_at is not None:
                raise Conflict("the connection has been disconnected")
            self._check(redirect, row, connection.provider_slug)
            at = await now(session)
            if redirect.code is not None:
                await attempts.park(session, self._vault, row, redirect.code, at)
            elif redirect.refusal is not None:
                attempts.refuse(row, redirect.refusal, at)
            return Received(connection_id=row.connection_id, attempt_id=row.id)

    async def _record(self, redirect: Redirect, reason: str) -> None:
        async with self._database.transaction() as session:
            row = await attempts.by_state(session, redirect.state)
            connection = await session.get_one(ConnectionRow, row.connection_id)
            at, cause = await now(session), f"{row.id}/{reason}"
            event = AuthorizationCallbackRejected(**subject(connection, at), reason=reason)
        async with self._database.transaction() as session:
            connection = await locked(session, connection.id)
            await events.append(session, connection, event, cause)

    def _check(self, redirect: Redirect, row: AttemptRow, slug: str) -> None:
        if redirect.address != row.redirect_uri:
            raise InvalidInput("the redirect came to another address than was asked for")
        entry = self._catalogue.oauth2(slug)
        check_issuer(redirect, row.endpoints["issuer"], always_sent=entry.sends_iss)
