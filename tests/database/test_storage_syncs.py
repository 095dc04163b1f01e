"""Who may write what was read: only the attempt that began last, of a connection that lives."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from domain.status import ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome
from storage import syncs
from storage.syncs import Attempt, Counts
from storage.tables import SyncRow
from tests.stored import AT, Stored

EVERY = timedelta(hours=6)


async def begin(stored: Stored, connection_id: UUID) -> Attempt | None:
    async with stored.database.transaction() as session:
        return await syncs.begin(session, connection_id, AT)


async def begun(stored: Stored, connection_id: UUID) -> Attempt:
    attempt = await begin(stored, connection_id)
    assert attempt is not None
    return attempt


async def may_write(stored: Stored, attempt: Attempt) -> bool:
    async with stored.database.transaction() as session:
        return await syncs.may_write(session, attempt)


async def finish(
    stored: Stored,
    attempt: Attempt,
    outcome: SyncOutcome = SyncOutcome.SYNCED,
    retry_after: timedelta | None = None,
) -> SyncRow | None:
    async with stored.database.transaction() as session:
        counts = Counts(accounts=1, holdings=2, transactions=3)
        return await syncs.finish(
            session, attempt, outcome, counts, every=EVERY, retry_after=retry_after, at=AT
        )


async def revoke(stored: Stored, connection_id: UUID) -> None:
    await stored.become(connection_id, ConnectionStatus.REVOKED, StatusReason.USER_REVOKED)


ENDINGS: dict[str, Callable[[Stored, UUID], Awaitable[None]]] = {
    "revoked": revoke,
    "disconnected": Stored.end,
}


async def test_the_attempt_that_began_last_may_write(stored: Stored) -> None:
    attempt = await begun(stored, await stored.active())
    assert await may_write(stored, attempt)


async def test_an_attempt_that_was_overtaken_may_not_write_and_ends_without_a_trace(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    overtaken = await begun(stored, connection_id)
    following = await begun(stored, connection_id)
    assert not await may_write(stored, overtaken)
    assert await finish(stored, overtaken) is None
    assert "DataSynced" not in await stored.event_types(connection_id)
    assert (await stored.connection(connection_id)).last_sync_at is None
    assert await may_write(stored, following)


@pytest.mark.parametrize("ended", ENDINGS)
async def test_an_attempt_may_not_write_and_ends_without_a_trace_once_the_user_has(
    stored: Stored, ended: str
) -> None:
    connection_id = await stored.active()
    attempt = await begun(stored, connection_id)
    await ENDINGS[ended](stored, connection_id)
    assert not await may_write(stored, attempt)
    assert await finish(stored, attempt) is None
    assert "DataSynced" not in await stored.event_types(connection_id)


@pytest.mark.parametrize("ended", ENDINGS)
async def test_nothing_is_begun_once_the_user_has_ended_it(stored: Stored, ended: str) -> None:
    connection_id = await stored.active()
    await ENDINGS[ended](stored, connection_id)
    assert await begin(stored, connection_id) is None


async def test_nothing_is_begun_before_the_user_has_authorized(stored: Stored) -> None:
    assert await begin(stored, await stored.pending()) is None


@pytest.mark.parametrize("ended", ENDINGS)
async def test_whoever_may_write_may_until_its_transaction_ends_and_the_end_waits_for_that(
    alone: Stored, ended: str
) -> None:
    connection_id = await alone.active()
    attempt = await begun(alone, connection_id)
    async with alone.database.transaction() as session:
        assert await syncs.may_write(session, attempt)
        ending = asyncio.ensure_future(ENDINGS[ended](alone, connection_id))
        await alone.somebody_waits()
        assert not ending.done()
    await ending
    assert not await may_write(alone, attempt)


async def test_a_successor_waits_for_the_transaction_of_the_one_before(alone: Stored) -> None:
    connection_id = await alone.active()
    attempt = await begun(alone, connection_id)
    async with alone.database.transaction() as session:
        assert await syncs.may_write(session, attempt)
        following = asyncio.ensure_future(begun(alone, connection_id))
        await alone.somebody_waits()
    assert (await following).number == attempt.number + 1
    assert not await may_write(alone, attempt)


async def test_what_was_read_is_told_in_one_event_with_its_counts(stored: Stored) -> None:
    connection_id = await stored.active()
    row = await finish(stored, await begun(stored, connection_id))
    assert row is not None
    assert (row.completed, row.failures, row.failing_since) == (1, 0, None)
    assert row.next_at is not None
    assert AT + EVERY * 0.9 <= row.next_at <= AT + EVERY
    (event,) = [e for e in await stored.events(connection_id) if e.type == "DataSynced"]
    assert [event.data[of] for of in ("accounts", "holdings", "transactions")] == [1, 2, 3]
    assert (await stored.connection(connection_id)).last_sync_at == AT


async def test_failing_is_told_once_counted_each_time_and_over_with_a_success(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    for failures in (1, 2, 3):
        row = await finish(stored, await begun(stored, connection_id), SyncOutcome.TRANSIENT)
        assert row is not None
        assert (row.failures, row.failing_since, row.completed) == (failures, AT, 0)
    assert (await stored.event_types(connection_id)).count("DataSyncFailed") == 1
    row = await finish(stored, await begun(stored, connection_id))
    assert row is not None
    assert (row.failures, row.failing_since, row.completed) == (0, None, 1)


async def test_the_next_reading_is_when_the_provider_asked_for_it(stored: Stored) -> None:
    attempt = await begun(stored, await stored.active())
    row = await finish(stored, attempt, SyncOutcome.RATE_LIMITED, timedelta(minutes=7))
    assert row is not None
    assert row.next_at is not None
    assert AT + timedelta(minutes=7) <= row.next_at < AT + timedelta(minutes=8)


async def test_the_connections_that_cannot_be_read_are_counted_by_why(alone: Stored) -> None:
    for outcome in (SyncOutcome.TRANSIENT, SyncOutcome.TRANSIENT, SyncOutcome.FORBIDDEN):
        await finish(alone, await begun(alone, await alone.active()), outcome)
    await finish(alone, await begun(alone, await alone.active()))
    over = await alone.active()
    await finish(alone, await begun(alone, over), SyncOutcome.FORBIDDEN)
    await revoke(alone, over)
    async with alone.database.transaction() as session:
        assert await syncs.failing(session) == {"transient": 2, "forbidden": 1}
