"""The ``ConnectProvider`` command: a connection that is born ACTIVE, with credentials one has.

What the command promises is one transaction: connection, credentials and the event that tells of
them. A refused command leaves its two events and nothing else. Repeated, it changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.adopt import adopted, born_as
from activities.holding import beating
from activities.payloads import Adopted, ConnectWithCredentials
from activities.resources import Resources, cause
from domain.commands import ConnectProviderError, check_connect
from domain.connection import storable
from domain.credentials import CredentialType
from domain.deadlines import DeadlineSource, Lifetimes, after_authorization
from domain.errors import InvalidInput, NotFound, StorageFault
from domain.events import ProviderConnectionAttempted, ProviderConnectionFailed
from domain.result import Failure
from domain.secret import Secret
from domain.standing import next_refresh
from domain.status import ConnectionStatus, StatusReason
from providers.api_key import ApiKey, KeyRefusal
from storage import connections, credentials, data_keys, events, staging
from storage.claims import Purpose
from storage.connections import Provider
from storage.credentials import SEALED_AS, Envelope
from storage.database import lock_connection
from storage.tables import StagedRow
from storage.vault import DataKey

NEEDED: Final = {
    CredentialType.OAUTH2: ("access_token",),
    CredentialType.LINK_TOKEN: ("access_token",),
}
"""What credentials must hold, by their type, to be of any use here."""
VERIFY_WITHIN: Final = timedelta(seconds=10)


class Connecting:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def connect_provider(self, request: ConnectWithCredentials) -> Adopted:
        """Carry out the command, or say why it is refused.

        An API key is shown to the provider first: one that it does not take makes no connection.

        Raises:
            StorageFault: the data key does not open here; nothing is refused for that.
        """
        refusal = await self._refusal_of_credentials(request)
        async with self._resources.database.transaction() as session:
            at = await self._resources.clock.now(session)
            row = await lock_connection(session, request.connection_id)
            if row is not None:
                return await adopted(session, row, request, at, self._resources.catalogue)
            staged = None
            if request.staged_id is not None:
                staged = await staging.get(session, request.staged_id)
            checked = check_connect(
                has_credentials=staged is not None,
                provider_slug=request.provider_slug,
                alias=request.alias,
            )
            if isinstance(checked, Failure):
                refusal = KeyRefusal(checked.error)
            if refusal is not None:
                await _refuse(session, request, refusal.message, at)
                if staged is not None:
                    # Only what this command brought: another of the same id may wait for its turn.
                    await staging.remove(session, staged.id)
                if not refusal.passes and not await staging.is_any(session, request.connection_id):
                    await data_keys.destroy(session, request.connection_id)
                return Adopted(refusal=refusal.message)
            assert staged is not None  # checked just above
            return await self._born(session, request, staged, at)

    async def _refusal_of_credentials(self, request: ConnectWithCredentials) -> KeyRefusal | None:
        """Why these credentials make no connection; None if they are good, or there are none."""
        async with self._resources.database.transaction() as session:
            staged = await staging.get(session, request.staged_id) if request.staged_id else None
            if staged is None:
                return None
            key = await data_keys.obtain(session, self._resources.vault, request.connection_id)
        try:
            secret = staging.open_staged(key, staged)
        except StorageFault:  # they were not sealed by ``seal``, or for another connection
            return KeyRefusal(ConnectProviderError.INVALID_CREDENTIALS)
        if staged.credential_type == CredentialType.API_KEY:
            return await self._refusal_of_key(request, secret)
        needed = NEEDED.get(CredentialType(staged.credential_type), ())
        if not all(secret.get(name) for name in needed):
            return KeyRefusal(ConnectProviderError.INVALID_CREDENTIALS)
        return None

    async def _refusal_of_key(
        self, request: ConnectWithCredentials, secret: Mapping[str, Secret]
    ) -> KeyRefusal | None:
        if "api_key" not in secret:
            return KeyRefusal(ConnectProviderError.INVALID_CREDENTIALS)
        try:
            entry = self._resources.catalogue.api_key(request.provider_slug)
        except (NotFound, InvalidInput) as error:
            return KeyRefusal(str(error))
        provider = ApiKey(entry, self._resources.http)
        return await provider.refusal_of(secret["api_key"], within=VERIFY_WITHIN)

    async def _born(
        self,
        session: AsyncSession,
        request: ConnectWithCredentials,
        staged: StagedRow,
        at: datetime,
    ) -> Adopted:
        row = connections.create(
            session, born_as(request, CredentialType(staged.credential_type)), at
        )
        await session.flush()
        attempted = ProviderConnectionAttempted(**connections.provider(row, at))
        await events.append(session, row, attempted, cause())
        key = await data_keys.obtain(session, self._resources.vault, row.id)
        envelope = _envelope(key, staging.open_staged(key, staged), staged, at)
        if staged.credential_type == CredentialType.API_KEY:
            entry = self._resources.catalogue.api_key(row.provider_slug)
            envelope = envelope.model_copy(update={"refresh_at": at + entry.verify_every})
        credentials.replace(await connections.credentials_of(session, row.id), envelope, at)
        row.reauthorize_by = credentials.must_act_by(envelope)
        await staging.clear(session, row.id)  # also what a repeated command has left
        await connections.transition(
            session, row, ConnectionStatus.ACTIVE, StatusReason.IMPORTED, at=at, cause=cause()
        )
        return await adopted(session, row, request, at, self._resources.catalogue)


def _envelope(
    key: DataKey, secret: Mapping[str, Secret], staged: StagedRow, at: datetime
) -> Envelope:
    lifetimes = Lifetimes(access_token=staged.expires_at - at if staged.expires_at else None)
    deadlines = after_authorization(at, {DeadlineSource.OPERATOR: lifetimes})
    refreshable = "refresh_token" in secret
    refresh_at = None
    if refreshable:
        # A token that has ended, or whose age nobody knows, is refreshed at once.
        lives_on = staged.expires_at is not None and staged.expires_at > at
        refresh_at = next_refresh(key.connection_id, deadlines, at) if lives_on else at
    return Envelope(
        connection_id=key.connection_id,
        purpose=Purpose.AUTHORIZATION,
        generation=1,
        claim=0,
        data_key_id=key.id,
        sealed=key.seal(SEALED_AS, 1, {name: value.reveal() for name, value in secret.items()}),
        token_type=secret["token_type"].reveal() if "token_type" in secret else None,
        refreshable=refreshable,
        sent_at=at,
        refresh_at=refresh_at,
        deadlines=deadlines,
    )


async def _refuse(
    session: AsyncSession, request: ConnectWithCredentials, reason: str, at: datetime
) -> None:
    who = Provider(
        user_id=request.user_id,
        provider_id=request.provider_id,
        provider_slug=storable(request.provider_slug),
        occurred_at=at,
    )
    for event in (
        ProviderConnectionAttempted(**who),
        ProviderConnectionFailed(**who, reason=reason),
    ):
        await events.append_without_connection(
            session, request.connection_id, request.user_id, event, cause()
        )
