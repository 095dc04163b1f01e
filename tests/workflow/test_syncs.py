"""Reading data beside the refreshes: whole, once, again where it was cut, never after the end."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import select

from domain.errors import InvalidInput, NeedsUser
from domain.status import ConnectionStatus
from domain.syncs import SyncOutcome
from domain.view import ConnectionView, Syncing
from providers.sandbox.remote import Truth
from storage import finances
from storage.database import run
from storage.finance_tables import AccountRow, BalanceRow, HoldingRow, TransactionRow
from tests.world import Servers, World, data_of, new_world, until


@pytest.fixture
async def readable(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world without a worker, whose provider's data can be read."""
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world:
        yield world


@pytest.fixture
async def reading(readable: World) -> AsyncIterator[World]:
    """The same with a worker."""
    async with readable.working():
        yield readable


async def read(world: World, connection_id: UUID, times: int = 1) -> Syncing:
    """Until all data has been read so many times."""

    async def fact() -> Syncing | None:
        sync = (await world.connections.view(connection_id)).sync
        return sync if sync is not None and sync.completed >= times else None

    return await until(fact)


async def failing(world: World, connection_id: UUID) -> Syncing:
    async def fact() -> Syncing | None:
        sync = (await world.connections.view(connection_id)).sync
        return sync if sync is not None and sync.failing_since is not None else None

    return await until(fact)


async def copies(world: World, connection_id: UUID) -> list[Truth]:
    """What we hold of each account, in the provider's own terms."""
    async with world.database.transaction() as session:
        held = []
        for account in await finances.accounts(session, connection_id):
            query = select(TransactionRow).where(TransactionRow.account_id == account.id)
            amounts = [row.amount for row in (await session.exec(query)).all()]
            values = select(HoldingRow).where(HoldingRow.account_id == account.id)
            worth = [row.value for row in (await session.exec(values)).all()]
            held.append(
                Truth(
                    id=account.source_id,
                    currency=account.currency,
                    balance=account.balance,
                    transactions=len(amounts),
                    sum=sum(amounts, Decimal(0)),
                    holdings=len(worth),
                    value=sum(worth, Decimal(0)),
                )
            )
        return held


async def test_the_first_sync_holds_exactly_what_the_provider_says(reading: World) -> None:
    view = await reading.connected()
    sync = await read(reading, view.connection_id)
    truth = await reading.sandbox.finances("alice")
    assert sorted(await copies(reading, view.connection_id), key=id_of) == sorted(truth, key=id_of)
    assert sync.outcome is SyncOutcome.SYNCED
    assert sync.next_at is not None
    assert timedelta(hours=5) < sync.next_at - datetime.now(UTC) <= timedelta(hours=6)
    assert "DataSynced" in await reading.event_types(view.connection_id)


def id_of(truth: Truth) -> str:
    return truth.id


async def test_account_numbers_are_masked_and_nowhere_whole(reading: World) -> None:
    view = await reading.connected()
    await read(reading, view.connection_id)
    async with reading.database.transaction() as session:
        held = await finances.accounts(session, view.connection_id)
        assert all(account.number and account.number.startswith("••••") for account in held)
        for table in ("accounts", "transactions", "holdings", "balances", "cursors", "events"):
            found = await run(
                session, f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%CANARY%'", {}
            )
            assert found.scalar_one() == 0, table


async def test_what_has_come_since_is_read_when_asked_for_and_nothing_twice(
    reading: World,
) -> None:
    view = await reading.connected()
    await read(reading, view.connection_id)
    before = sum(each.transactions for each in await copies(reading, view.connection_id))
    await reading.sandbox.grow("alice", 700)
    await reading.connections.sync_now(view.connection_id)
    await read(reading, view.connection_id, times=2)
    after = await copies(reading, view.connection_id)
    assert sum(each.transactions for each in after) == before + 3 * 700
    assert sorted(after, key=id_of) == sorted(await reading.sandbox.finances("alice"), key=id_of)
    (_, synced) = [
        row
        for row in await reading.connections.events(view.connection_id)
        if row.type == "DataSynced"
    ]
    assert synced.data["transactions"] == 3 * 700


async def test_each_reading_leaves_a_snapshot_of_the_balances(reading: World) -> None:
    view = await reading.connected()
    await read(reading, view.connection_id)
    await reading.connections.sync_now(view.connection_id)
    await read(reading, view.connection_id, times=2)
    async with reading.database.transaction() as session:
        rows = (await session.exec(select(BalanceRow))).all()
    assert len(rows) == 2 * 3
    assert len({row.sync for row in rows}) == 2


async def test_one_that_asks_while_it_is_read_is_answered_by_another_reading(
    reading: World,
) -> None:
    fault = await reading.plant("api", "hang", times=1)
    view = await reading.connected()
    await until(lambda: begun(reading))
    await reading.connections.sync_now(view.connection_id)
    await reading.sandbox.clear(fault)
    await read(reading, view.connection_id, times=2)


async def begun(world: World) -> bool:
    return bool(await world.log("api"))


async def test_an_outage_is_said_and_passes_by_itself(reading: World) -> None:
    fault = await reading.plant("api", "status", status=503, times=None)
    view = await reading.connected()
    sync = await failing(reading, view.connection_id)
    assert sync.outcome is SyncOutcome.TRANSIENT
    explained = await reading.connections.explain(view.connection_id)
    assert "reading failed" in explained.text
    assert explained.status is ConnectionStatus.ACTIVE
    await reading.sandbox.clear(fault)
    sync = await read(reading, view.connection_id)
    assert sync.failing_since is None
    types = await reading.event_types(view.connection_id)
    assert types.count("DataSyncFailed") == 1
    assert types.index("DataSyncFailed") < types.index("DataSynced")


@pytest.mark.parametrize(
    ("kind", "fields", "outcome"),
    [
        ("html", {"status": 200}, SyncOutcome.TRANSIENT),
        ("rate_limit", {"retry_after": "120"}, SyncOutcome.RATE_LIMITED),
        ("status", {"status": 403, "body": {}}, SyncOutcome.FORBIDDEN),
        ("status", {"status": 200, "body": {"accounts": 1}}, SyncOutcome.UNREADABLE),
        ("drop", {}, SyncOutcome.TRANSIENT),
    ],
    ids=["html", "rate-limit", "forbidden", "unreadable", "drop"],
)
async def test_whatever_the_provider_answers_has_a_name_and_changes_no_status(
    reading: World, kind: str, fields: dict[str, object], outcome: SyncOutcome
) -> None:
    await reading.plant("api", kind, times=None, **fields)  # type: ignore[arg-type]
    view = await reading.connected()
    sync = await failing(reading, view.connection_id)
    assert sync.outcome is outcome
    assert (await reading.connections.view(view.connection_id)).status is ConnectionStatus.ACTIVE
    if outcome is SyncOutcome.RATE_LIMITED:
        assert sync.next_at is not None
        assert sync.next_at > datetime.now(UTC) + timedelta(seconds=100)


async def test_a_token_that_is_refused_is_refreshed_and_reading_goes_on(reading: World) -> None:
    await reading.plant("api", "status", status=401, body={}, times=1)
    await reading.behave(access_ttl_s=8)
    view = await reading.connected()
    await read(reading, view.connection_id)
    assert (await reading.connections.view(view.connection_id)).generation >= 2


async def test_bug_a_token_that_was_refused_again_and_again_was_refreshed_each_time(
    reading: World,
) -> None:
    await reading.plant("api", "status", status=401, body={}, times=None)
    view = await reading.connected()

    async def failed_thrice() -> ConnectionView | None:
        now = await reading.connections.view(view.connection_id)
        return now if now.sync is not None and now.sync.failures >= 3 else None

    assert (await until(failed_thrice)).generation == 2


async def test_reading_in_the_middle_of_a_refresh_cycle_takes_nothing_from_it(
    reading: World,
) -> None:
    await reading.plant("api", "hang", times=1)
    await reading.behave(access_ttl_s=4)
    view = await reading.connected()

    async def refreshed() -> bool:
        return (await reading.connections.view(view.connection_id)).generation >= 3

    await until(refreshed)
    assert (await reading.connections.view(view.connection_id)).sync is None


ENDED = {"revoke": ConnectionStatus.REVOKED, "disconnect": ConnectionStatus.DISCONNECTED}


@pytest.mark.parametrize("ending", ENDED)
async def test_nothing_is_written_after_the_user_has_ended_it(readable: World, ending: str) -> None:
    async with readable.working():
        # Its answer is on the way: what follows would be refused, for the token is revoked.
        fault = await readable.plant("api", "hang", when="after_acting", times=1)
        view = await readable.connected()
        await until(lambda: begun(readable))
        await getattr(readable.connections, ending)(view.connection_id)
        await readable.becomes(view.connection_id, ENDED[ending])
        await readable.sandbox.clear(fault)
    # The worker has ended, and with it whatever was still being read.
    async with readable.database.transaction() as session:
        assert (await session.exec(select(AccountRow))).all() == []
    assert "DataSynced" not in await readable.event_types(view.connection_id)


async def test_a_reading_lets_go_when_the_user_revokes_though_the_provider_holds_it(
    reading: World,
) -> None:
    await reading.plant("api", "hang", times=1)
    view = await reading.connected()
    await until(lambda: begun(reading))
    await reading.connections.revoke(view.connection_id)

    async def over() -> str | None:
        return await end_of_reading(reading, view.connection_id)

    assert await until(over) == "canceled"
    (call,) = await reading.log("api")
    assert not call.answered


async def end_of_reading(world: World, connection_id: UUID) -> str | None:
    """How the reading that was begun last has ended; None: it has not."""
    begun_at, end = 0, None
    for event in await world.history(connection_id):
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "sync_data":
            begun_at, end = event.event_id, None
        for kind in ("completed", "failed", "timed_out", "canceled"):
            if event.HasField(f"activity_task_{kind}_event_attributes"):  # type: ignore[arg-type]
                of = getattr(event, f"activity_task_{kind}_event_attributes").scheduled_event_id
                end = kind if of == begun_at else end
    return end


async def test_a_reading_that_was_overtaken_writes_nothing(reading: World) -> None:
    view = await reading.connected()
    await read(reading, view.connection_id)
    fault = await reading.plant("api", "hang", times=1)
    await reading.connections.sync_now(view.connection_id)
    await until(lambda: held_up(reading))
    await reading.sandbox.grow("alice", 5)
    await reading.damage("UPDATE syncs SET number = number + 1")
    before = await copies(reading, view.connection_id)
    await reading.sandbox.clear(fault)

    async def over() -> str | None:
        return await end_of_reading(reading, view.connection_id)

    assert await until(over) == "completed"
    assert await copies(reading, view.connection_id) == before


async def held_up(world: World) -> bool:
    return any(entry.finished_at is None for entry in await world.log("api"))


async def test_nothing_is_read_where_there_is_nothing_to_read(living: World) -> None:
    view = await living.connected()
    with pytest.raises(InvalidInput, match="no data is read"):
        await living.connections.sync_now(view.connection_id)
    assert await living.log("api") == []


async def test_nothing_is_read_of_a_connection_that_needs_its_user(reading: World) -> None:
    view = await reading.connected()
    await read(reading, view.connection_id)
    await reading.connections.revoke(view.connection_id)
    await reading.becomes(view.connection_id, ConnectionStatus.REVOKED)
    with pytest.raises(NeedsUser):
        await reading.connections.sync_now(view.connection_id)
