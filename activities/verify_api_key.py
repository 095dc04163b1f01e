"""Looking whether what a user gave is still good: an API key, a link token, a certificate.

It cannot be renewed by us, and nobody tells us when it is taken back.

Verifying changes nothing at the provider, so it needs no claim and may be repeated freely. One
refusal ends nothing, for it may be the provider's own mistake; so many in a row as the entry says
do.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.exchanges import standing_of
from activities.holding import heartbeats
from activities.payloads import Refreshed, VerifyApiKey
from activities.policies import CALL_DEADLINE
from activities.resources import Resources, cause
from domain.credentials import CredentialType
from domain.errors import InvalidInput, NotFound, StorageFault
from domain.events import ConnectionDegraded, ConnectionRecovered
from domain.outcomes import Outcome
from domain.schedule import retry_delay
from domain.secret import Secret
from domain.status import StatusReason
from providers.classifier import Answer
from providers.entries_given import VerifiedEntry
from providers.giving import given_of
from storage import events, leases, provider_apps
from storage.connections import credentials_of, locked, subject
from storage.credentials import SEALED_AS
from storage.leases import Leasable
from storage.tables import ConnectionRow


class Verification:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def verify_api_key(self, request: VerifyApiKey) -> Refreshed:
        """Verify it once, and say when it is to be verified again.

        Raises:
            Unreachable: the database is away; tried again.
        """
        async with heartbeats():
            return await self._verify(request)

    async def _verify(self, request: VerifyApiKey) -> Refreshed:
        async with self._resources.database.transaction() as session:
            held = await leases.read(session, request.connection_id)
        if not held.available:
            ended = held.connection.ended_at is not None
            return Refreshed(outcome=Outcome.UNAVAILABLE, ended=ended)
        if held.credentials.generation < request.generation:
            return await self._record(request, None, Answer(Outcome.ROLLED_BACK))
        try:
            entry = self._entry(held)
            secret = self._open(held)
        except (NotFound, InvalidInput):
            return await self._record(request, None, Answer(Outcome.APP_MISCONFIGURED))
        except StorageFault:
            return await self._record(request, None, Answer(Outcome.STORAGE_FAULT))
        given = given_of(entry, self._resources.http)
        answer = await given.verify(secret, within=CALL_DEADLINE)
        return await self._record(request, entry, answer)

    def _entry(self, held: Leasable) -> VerifiedEntry:
        kind = CredentialType(held.connection.credential_type)
        entry = self._resources.catalogue.given(held.connection.provider_slug, kind)
        if not isinstance(entry, VerifiedEntry):
            raise InvalidInput(f"there is nobody to ask at {entry.slug}")
        return entry

    def _open(self, held: Leasable) -> Mapping[str, Secret]:
        if held.data_key is None or held.credentials.sealed is None:
            raise StorageFault("the connection's secrets are not there")
        key = self._resources.vault.unwrap(held.data_key)
        return key.open(SEALED_AS, held.credentials.generation, held.credentials.sealed)

    async def _record(
        self, request: VerifyApiKey, entry: VerifiedEntry | None, answer: Answer
    ) -> Refreshed:
        async with self._resources.database.transaction() as session:
            connection = await locked(session, request.connection_id)
            credentials = await credentials_of(session, request.connection_id)
            at = await self._resources.clock.now(session)
            if connection.ended_at is not None:
                return Refreshed(outcome=answer.outcome, ended=True)
            if credentials.generation > request.generation:
                # Another has taken its place: say how that one stands.
                there = standing_of(credentials, at)
                return Refreshed(outcome=Outcome.VERIFIED, standing=there)
            if entry is None or answer.outcome is not Outcome.VERIFIED:
                return await _fail(session, connection, entry, answer, at)
            if connection.degraded_since is not None:
                recovered = ConnectionRecovered(**subject(connection, at))
                await events.append(session, connection, recovered, cause())
            connection.degraded_since = connection.degraded_cause = connection.retry_at = None
            connection.failures = 0
            credentials.refresh_at = at + entry.verify_every
            await provider_apps.works(session, connection.provider_slug)
            return Refreshed(outcome=answer.outcome, standing=standing_of(credentials, at))


async def _fail(
    session: AsyncSession,
    connection: ConnectionRow,
    entry: VerifiedEntry | None,
    answer: Answer,
    at: datetime,
) -> Refreshed:
    """Note that it is not verified: refused once more, or for a reason that passes."""
    if connection.degraded_since is None:
        connection.degraded_since = at
        degraded = ConnectionDegraded(**subject(connection, at), reason=answer.outcome)
        await events.append(session, connection, degraded, cause())
    if answer.outcome is Outcome.APP_MISCONFIGURED:
        await provider_apps.misconfigured(session, connection.provider_slug, None, at)
    refused = entry is not None and answer.outcome is Outcome.KEY_REFUSED
    same = connection.degraded_cause == answer.outcome
    if refused and same and connection.retry_at is not None and at < connection.retry_at:
        # Somebody asked before it was due: the same refusal, not another one.
        retry_in = connection.retry_at - at
        return Refreshed(outcome=answer.outcome, retry_in=retry_in, failures=connection.failures)
    # Refusals are counted by themselves: an outage between two of them begins the count anew.
    connection.failures = connection.failures + 1 if same or not refused else 1
    connection.degraded_cause = answer.outcome
    if entry is not None and refused and connection.failures >= entry.refusals_until_expired:
        return Refreshed(outcome=answer.outcome, reason=StatusReason.KEY_REFUSED)
    retry_in = retry_delay(connection.id, connection.failures, answer.retry_after)
    if entry is not None and refused:
        retry_in = entry.refused_again_after
    connection.retry_at = at + retry_in
    return Refreshed(outcome=answer.outcome, retry_in=retry_in, failures=connection.failures)
