"""The client SDK: everything an application does with connections, typed and asynchronous.

Messages go to a connection's workflow; reads and leases come from PostgreSQL. Any number of these
can run side by side. Everything raised is a ``MoorlineError``.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from client.authorizing import HEEDED_WITHIN, Authorizing
from client.leasing import DEFAULT_MIN_TTL, Lease, Leases
from client.messaging import Messaging
from client.reading import POLL_S
from client.refusals import needs_user
from client.rejections import Rejection, Rejections
from client.talking import lags
from domain.commands import ConnectProvider
from domain.connection import is_valid_alias
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import (
    ANOTHERS_ID,
    Conflict,
    InvalidInput,
    NotFound,
    ProviderConnectionError,
    Unreachable,
)
from domain.pages import Pages
from domain.result import Result
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView, Receipt
from domain.words import one
from providers.catalogue import Catalogue
from storage import connect_sessions, connections
from storage.database import Database, now
from storage.vault import Vault
from workflows.messages import (
    Disconnect,
    Nudge,
    Rename,
    Revoke,
    StartConnection,
    SyncNow,
)

_NOT_REVOCABLE: Final = tuple(
    set(ConnectionStatus) - {ConnectionStatus.ACTIVE, ConnectionStatus.PENDING}
)


@dataclass(frozen=True)
class Connecting:
    """A connection has been begun; send the user to ``url``, our own start page."""

    connection_id: UUID
    attempt_id: UUID
    url: str


class ConnectionsClient(Authorizing):
    """Connections, as an application sees them.

    Args:
        messaging: to their workflows.
        database, vault: where connections are read from, and tokens leased.
        catalogue: known providers.
    """

    def __init__(
        self, messaging: Messaging, database: Database, vault: Vault, catalogue: Catalogue
    ) -> None:
        super().__init__(messaging, database, vault, catalogue)
        self._leases = Leases(database, vault, self._newer_than)
        self._rejections = Rejections(database, catalogue, self._newer_than)

    # -- beginning -----------------------------------------------------------------------------

    async def connect(
        self,
        provider_slug: str,
        user_id: UUID,
        *,
        connection_id: UUID | None = None,
        alias: str | None = None,
        pages: Pages = Pages.LOOPBACK,
    ) -> Connecting:
        """Begin a connection; it is stored, PENDING, when this answers.

        Args:
            pages: who serves the user, and takes in what comes back.

        Raises:
            NotFound: unknown provider.
            InvalidInput: the alias is too long.
            Conflict: there is a connection of this id already.
            NotConfigured: the provider app's client id or secret is missing.
            Unreachable: the database is away, and nothing was begun; or no worker answers, and
                the connection may yet be stored.
        """
        self._catalogue.oauth2(provider_slug).check_ready()  # before anything is stored
        if not is_valid_alias(alias):
            raise InvalidInput(ProviderConnectionError.INVALID_ALIAS)
        connection_id = connection_id or uuid4()
        await self._expect_none(connection_id)
        start = StartConnection(
            connection_id=connection_id,
            user_id=user_id,
            provider_slug=provider_slug,
            alias=alias,
        )
        begun = await self._messaging.start_authorizing(start, pages)
        return Connecting(start.connection_id, begun.attempt_id, begun.url)

    async def await_given(
        self, provider_slug: str, user_id: UUID, connection_id: UUID, alias: str | None = None
    ) -> ConnectionView:
        """Begin a connection to a provider whose users give us what it works by.

        PENDING until something good is supplied.

        Raises:
            NotFound, InvalidInput, Conflict, Unreachable: as ``connect``.
        """
        self._catalogue.given(provider_slug)
        if not is_valid_alias(alias):
            raise InvalidInput(ProviderConnectionError.INVALID_ALIAS)
        start = StartConnection(
            connection_id=connection_id, user_id=user_id, provider_slug=provider_slug, alias=alias
        )
        await self._expect_none(connection_id)
        with suppress(Conflict):  # begun before, and no worker has come to store it yet
            await self._messaging.start(start)
        try:
            async with asyncio.timeout(HEEDED_WITHIN.total_seconds()):
                while not await self.is_stored(connection_id):
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise Unreachable("no worker has stored the connection yet") from None
        view = await self.view(connection_id)
        if (view.user_id, view.provider_slug) != (user_id, provider_slug):
            raise Conflict(ANOTHERS_ID)
        return view

    async def seal(
        self,
        connection_id: UUID,
        secret: Mapping[str, Secret],
        credential_type: CredentialType = CredentialType.OAUTH2,
        expires_at: datetime | None = None,
    ) -> ProviderCredentials:
        """Seal credentials obtained elsewhere, for ``connect_provider`` with the same id.

        Args:
            secret: by type, see ``CredentialType``; for OAUTH2 ``access_token`` and, to be
                refreshed, ``refresh_token``.
            expires_at: end of the access token; None if unknown: it is refreshed at once.

        Raises:
            Conflict: the connection has been disconnected.
        """
        return await self._imports.seal(connection_id, secret, credential_type, expires_at)

    async def connect_provider(
        self, command: ConnectProvider, connection_id: UUID
    ) -> Result[UUID, str]:
        """Carry out ``ConnectProvider``: a connection that is born ACTIVE.

        The credentials are kept before anything else happens, so that an outage later only
        delays; repeated with the same id, it changes nothing.

        Raises:
            Unreachable: nothing was accepted, or it was and is only delayed; says which.
        """
        return await self._imports.carry_out(command, connection_id)

    # -- using ---------------------------------------------------------------------------------

    async def lease(self, connection_id: UUID, min_ttl: timedelta = DEFAULT_MIN_TTL) -> Lease:
        """An access token that is good for at least ``min_ttl`` (at most half its lifetime).

        Raises:
            NotFound, NeedsUser, Conflict, NotFresh, StorageFault: see ``client.leasing``.
        """
        return await self._leases.lease(connection_id, min_ttl)

    async def rejected(self, connection_id: UUID, generation: int) -> Rejection:
        """The provider has refused the token of this generation: see to it that there is another.

        What a user gave is not renewed; it is verified, and stays where the provider takes it.

        Raises:
            NotFound, NeedsUser, Conflict, NotFresh, InvalidInput: see ``client.rejections``.
        """
        return await self._rejections.after(connection_id, generation)

    async def refresh(self, connection_id: UUID) -> ConnectionView:
        """Have the access token refreshed now, whatever is left of it.

        Raises:
            NeedsUser: the connection is not ACTIVE.
            NotFresh: the provider did not give one.
        """
        view = await self.view(connection_id)
        if view.credential_type.is_given:
            raise Conflict(f"{one(view.credential_type)} cannot be refreshed: its user renews it")
        async with self._living(connection_id):
            fresh = await self._messaging.refresh_now(connection_id, view.generation)
            view = await self.view(connection_id)
            if not lags(view, fresh):
                return view
            await self._messaging.refresh_now(connection_id, fresh.generation)
        return await self.view(connection_id)

    async def rename(self, connection_id: UUID, alias: str | None) -> ConnectionView:
        """Change the user's own name for it; None takes the name away."""
        if not is_valid_alias(alias):
            raise InvalidInput(ProviderConnectionError.INVALID_ALIAS)
        return await self._ask(connection_id, "rename", Rename(alias=alias), ConnectionView)

    async def sync_now(self, connection_id: UUID) -> None:
        """Have its data read now; ``view().sync`` tells how it went.

        Raises:
            NeedsUser: the connection is not ACTIVE.
            InvalidInput: nothing is read from its provider.
        """
        view = await self.view(connection_id)
        if not self._catalogue.reads_data(view.provider_slug):
            raise InvalidInput(
                f"no data is read from {view.provider_slug}: its entry has no `data`"
            )
        if view.status is not ConnectionStatus.ACTIVE:
            raise needs_user(view.status, view.reason)
        await self._tell(connection_id, "sync_now", SyncNow())

    # -- ending --------------------------------------------------------------------------------

    async def revoke(self, connection_id: UUID, *, actor: str | None = None) -> None:
        """Take the grant back; the provider is told and the secrets are shredded afterwards.

        When this answers, an ACTIVE connection is so no more: no lease succeeds and no data is
        written. In another status nothing changes, but tokens still held are revoked. What was
        begun for its user before connects nothing any more.

        Raises:
            Unreachable: Temporal is away; or it has the message, and nobody could tell yet that it
                has been heeded.
        """
        with suppress(Conflict):  # it is over already
            await self._tell(connection_id, "revoke", Revoke(actor=actor))
        try:
            await self._void(connection_id)
            await self.wait_for(connection_id, *_NOT_REVOCABLE, within=HEEDED_WITHIN)
        except (TimeoutError, Unreachable):
            raise Unreachable(
                "the revocation is recorded and not lost, but no worker has heeded it yet"
            ) from None

    async def _void(self, connection_id: UUID) -> None:
        """Also where no status changes: its workflow does it then, but only when it comes to it."""
        async with self._database.transaction() as session:
            await connections.locked(session, connection_id)
            at = await now(session)
            await connect_sessions.void(session, connection_id, StatusReason.USER_REVOKED, at)

    async def disconnect(self, connection_id: UUID, *, actor: str | None = None) -> None:
        """End it for good. When this answers, no lease succeeds any more; the rest follows."""
        if not await connections.disconnect(self._database, connection_id):
            return
        with suppress(Conflict):  # it was over before this message came
            await self._tell(connection_id, "disconnect", Disconnect(actor=actor))

    async def nudge(self, connection_id: UUID) -> None:
        """Have its workflow continue as new."""
        await self._tell(connection_id, "nudge", Nudge())

    async def receipt(self, connection_id: UUID) -> Receipt:
        """What the end did at the provider and here; waits for it."""
        try:
            return await self._messaging.result(connection_id)
        except (Conflict, NotFound):  # its workflow is gone, or was started again after the end
            view = await self.view(connection_id)
            if view.status is ConnectionStatus.DISCONNECTED and view.receipt is not None:
                return view.receipt
            raise
