"""Reading a connection's data, page by page, so that it can be cut anywhere and go on.

Each page is stored with the cursor after it in one transaction, which first makes sure that this
attempt still counts: that nobody has begun after it, and that the user has neither revoked nor
disconnected. So nothing is read twice into two rows, and nothing is written that may not be.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.holding import heartbeats
from activities.payloads import SyncData, Synced
from activities.resources import Resources
from domain.errors import NotFound, StorageFault
from domain.finances import Account
from domain.syncs import SyncOutcome, next_sync
from providers.entry import ProviderEntry
from providers.readers import reading
from providers.readers.reading import Reader, ReadingFailed
from storage import finances, leases, syncs, views
from storage.credentials import SEALED_AS
from storage.leases import Leasable
from storage.syncs import Attempt, Counts


class _Superseded(Exception):
    """Somebody has begun after us, or the user has ended it: nothing may be written any more."""


class Syncing:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def sync_data(self, request: SyncData) -> Synced:
        """Read all there is to read, from where it was left.

        Raises:
            Unreachable: the database is away; tried again, and what was stored stays.
        """
        async with heartbeats():
            return await self._sync(request.connection_id)

    async def _sync(self, connection_id: UUID) -> Synced:
        try:
            async with self._resources.database.transaction() as session:
                held = await leases.read(session, connection_id)
                at = await self._resources.clock.now(session)
                attempt = await syncs.begin(session, connection_id, at)
            entry = self._resources.catalogue.get(held.connection.provider_slug)
        except NotFound:
            return Synced(outcome=SyncOutcome.UNSUPPORTED)
        if attempt is None:
            ended = held.connection.ended_at is not None
            return Synced(outcome=SyncOutcome.STOPPED, ended=ended)
        if entry.data is None:
            return Synced(outcome=SyncOutcome.UNSUPPORTED)
        run = _Run(self._resources, attempt, Counts())
        outcome, retry_after = SyncOutcome.SYNCED, None
        try:
            async with self._reading(entry, held) as reader:
                await run.read(reader)
        except ReadingFailed as failed:
            outcome, retry_after = failed.outcome, failed.retry_after
        except _Superseded:
            return Synced(outcome=SyncOutcome.STOPPED)
        return await self._finish(run, entry.data.every, outcome, retry_after, held)

    def _reading(self, entry: ProviderEntry, held: Leasable) -> AbstractAsyncContextManager[Reader]:
        if held.remaining is not None and held.remaining <= timedelta(0):
            raise ReadingFailed(SyncOutcome.UNAUTHORIZED)
        if held.connection.credential_type != entry.credential_type:
            # The entry is of another type by now: its server is not to be shown what others gave.
            raise ReadingFailed(SyncOutcome.UNREADABLE)
        try:
            if held.data_key is None or held.credentials.sealed is None:
                raise StorageFault("the connection's secrets are not there")
            key = self._resources.vault.unwrap(held.data_key)
            secret = key.open(SEALED_AS, held.credentials.generation, held.credentials.sealed)
        except StorageFault:
            raise ReadingFailed(SyncOutcome.UNREADABLE) from None
        return reading(entry, secret, self._resources.http)

    async def _finish(
        self,
        run: "_Run",
        every: timedelta,
        outcome: SyncOutcome,
        retry_after: timedelta | None,
        held: Leasable,
    ) -> Synced:
        connection_id = run.attempt.connection_id
        async with self._resources.database.transaction() as session:
            at = await self._resources.clock.now(session)
            row = await syncs.finish(
                session,
                run.attempt,
                outcome,
                run.counts,
                every=every,
                retry_after=retry_after,
                at=at,
            )
            if row is None:
                return Synced(outcome=SyncOutcome.STOPPED)
            await session.flush()
            view = await views.get(session, connection_id)
        return Synced(
            outcome=outcome,
            sync=view.sync,
            next_in=next_sync(connection_id, every, outcome, row.failures, retry_after),
            generation=held.credentials.generation,
        )


@dataclass(frozen=True)
class _Run:
    """One attempt, and what it has read so far."""

    resources: Resources
    attempt: Attempt
    counts: Counts

    async def read(self, reader: Reader) -> None:
        """All accounts, and of each its holdings and what is new of its transactions."""
        found = await reader.accounts()
        async with self.resources.database.transaction() as session:
            at = await self._count_on(session)
            ids = await finances.write_accounts(session, self.attempt, found, at)
        self.counts.accounts = len(ids)
        for account in found:
            await self._read_holdings(reader, account, ids[account.id])
            await self._read_transactions(reader, account, ids[account.id])

    async def _read_holdings(self, reader: Reader, account: Account, account_id: UUID) -> None:
        found = await reader.holdings(account.id)
        async with self.resources.database.transaction() as session:
            at = await self._count_on(session)
            await finances.write_holdings(session, account_id, found, at)
        self.counts.holdings += len(found)

    async def _read_transactions(self, reader: Reader, account: Account, account_id: UUID) -> None:
        async with self.resources.database.transaction() as session:
            cursor = await finances.cursor_of(session, account_id)
        has_more, seen = True, {cursor}
        while has_more:
            page = await reader.transactions(account.id, cursor)
            async with self.resources.database.transaction() as session:
                at = await self._count_on(session)
                new = await finances.write_transactions(session, account_id, page, at)
            self.counts.transactions += new
            cursor, has_more = page.cursor, page.has_more
            if has_more and cursor in seen:
                raise ReadingFailed(SyncOutcome.UNREADABLE)  # it would never come to an end
            seen.add(cursor)

    async def _count_on(self, session: AsyncSession) -> datetime:
        """This instant, in a transaction that may write.

        Raises:
            _Superseded: it may not.
        """
        if not await syncs.may_write(session, self.attempt):
            raise _Superseded
        return await self.resources.clock.now(session)
