"""The ``ConnectProvider`` command: a connection that is born ACTIVE, with credentials one has.

What the command promises is one transaction: connection, credentials and the event that tells of
them. A refused command leaves its two events and nothing else. Repeated, it changes nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.adopt import adopted, born_as
from activities.given import refusal_of, sealed
from activities.holding import beating
from activities.payloads import Adopted, ConnectWithCredentials
from activities.resources import Resources, cause
from domain.commands import ConnectProviderError, check_connect
from domain.connection import storable
from domain.credentials import CredentialType
from domain.deadlines import DeadlineSource, Lifetimes, after_authorization
from domain.errors import NotFound, StorageFault
from domain.events import ProviderConnectionAttempted, ProviderConnectionFailed
from domain.result import Failure
from domain.secret import Secret
from domain.standing import next_refresh
from domain.status import ConnectionStatus, StatusReason
from domain.words import one
from providers.given import GivenRefusal
from storage import connections, credentials, data_keys, events, staging
from storage.claims import Purpose
from storage.connections import Provider
from storage.credentials import SEALED_AS, Envelope
from storage.database import lock_connection
from storage.tables import StagedRow
from storage.vault import DataKey


class Connecting:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def connect_provider(self, request: ConnectWithCredentials) -> Adopted:
        """Carry out the command, or say why it is refused.

        What a user gives is verified first: what is not good makes no connection.

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
                refusal = GivenRefusal(checked.error)
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

    async def _refusal_of_credentials(self, request: ConnectWithCredentials) -> GivenRefusal | None:
        """Why these credentials make no connection; None if they are good, or there are none."""
        async with self._resources.database.transaction() as session:
            staged = await staging.get(session, request.staged_id) if request.staged_id else None
            if staged is None:
                return None
            key = await data_keys.obtain(session, self._resources.vault, request.connection_id)
        try:
            secret = staging.open_staged(key, staged)
        except StorageFault:  # they were not sealed by ``seal``, or for another connection
            return GivenRefusal(ConnectProviderError.INVALID_CREDENTIALS)
        kind = CredentialType(staged.credential_type)
        if kind.is_given:
            return await refusal_of(self._resources, request.provider_slug, kind, secret)
        with suppress(NotFound):  # tokens of a provider that is in no catalogue may be kept
            entry = self._resources.catalogue.get(request.provider_slug)
            if entry.credential_type.is_given:
                return GivenRefusal(f"{entry.slug} works by {one(entry.credential_type)}")
        if not all(secret.get(name) for name in kind.needs):
            return GivenRefusal(ConnectProviderError.INVALID_CREDENTIALS)
        return None

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
        envelope = self._envelope(key, staged, row.provider_slug, at)
        credentials.replace(await connections.credentials_of(session, row.id), envelope, at)
        row.reauthorize_by = credentials.must_act_by(envelope)
        await staging.clear(session, row.id)  # also what a repeated command has left
        await connections.transition(
            session, row, ConnectionStatus.ACTIVE, StatusReason.IMPORTED, at=at, cause=cause()
        )
        return await adopted(session, row, request, at, self._resources.catalogue)

    def _envelope(self, key: DataKey, staged: StagedRow, slug: str, at: datetime) -> Envelope:
        secret = staging.open_staged(key, staged)
        if not CredentialType(staged.credential_type).is_given:
            return _of_tokens(key, secret, staged, at)
        ends_at = staged.expires_at
        return sealed(
            self._resources, slug, key, secret, generation=1, claim=0, ends_at=ends_at, at=at
        )


def _of_tokens(
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
