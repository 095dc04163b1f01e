"""The event log: one transaction with the change, once per cause, a chain that shows tampering."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from domain.events import (
    ConnectionRenamed,
    ProviderConnectionAttempted,
    ProviderConnectionFailed,
    ProviderTokenRefreshFailed,
)
from domain.status import ConnectionStatus
from storage import connections, events
from storage.connections import locked, subject
from storage.tables import ConnectionRow
from tests.stored import AT, Stored


async def renamed(stored: Stored, connection_id: UUID, alias: str, cause: str) -> None:
    async with stored.database.transaction() as session:
        row = await locked(session, connection_id)
        await connections.rename(session, row, alias, at=AT, cause=cause)


async def is_intact(stored: Stored, connection_id: UUID) -> bool:
    head = (await stored.connection(connection_id)).event_chain
    return events.is_intact(await stored.events(connection_id), head)


async def test_a_change_and_its_event_come_together_or_not_at_all(stored: Stored) -> None:
    connection_id = await stored.active()
    before = await stored.events(connection_id)
    async with stored.database.transaction() as session:
        row = await locked(session, connection_id)
        await connections.rename(session, row, "mine", at=AT, cause="one")
        await session.flush()
        await session.rollback()
    assert (await stored.connection(connection_id)).alias is None
    assert len(await stored.events(connection_id)) == len(before)
    await renamed(stored, connection_id, "mine", "one")
    assert (await stored.connection(connection_id)).alias == "mine"
    assert len(await stored.events(connection_id)) == len(before) + 1
    assert await is_intact(stored, connection_id)


async def test_a_cause_is_recorded_once_however_often_it_is_tried(stored: Stored) -> None:
    connection_id = await stored.pending()
    for _ in range(3):
        async with stored.database.transaction() as session:
            row = await locked(session, connection_id)
            event = ConnectionRenamed(**subject(row, AT))
            await events.append(session, row, event, "the same cause")
            await events.append(session, row, event, "the same cause")
    assert await stored.event_types(connection_id) == ["ConnectionRenamed"]
    assert await is_intact(stored, connection_id)


async def test_one_cause_may_have_several_events_of_different_types(stored: Stored) -> None:
    connection_id = await stored.pending()
    async with stored.database.transaction() as session:
        row = await locked(session, connection_id)
        await events.append(session, row, ConnectionRenamed(**subject(row, AT)), "a cause")
        failed = ProviderTokenRefreshFailed(**subject(row, AT), reason="transient")
        await events.append(session, row, failed, "a cause")
    causes = [row.cause for row in await stored.events(connection_id)]
    assert causes == ["a cause/ConnectionRenamed", "a cause/ProviderTokenRefreshFailed"]


async def test_two_connections_may_have_the_same_cause(stored: Stored) -> None:
    for connection_id in (await stored.pending(), await stored.pending()):
        await renamed(stored, connection_id, "mine", "the same cause")
        assert await stored.event_types(connection_id) == ["ConnectionRenamed"]


async def test_the_table_itself_refuses_a_cause_twice(stored: Stored) -> None:
    connection_id = await stored.pending()
    await renamed(stored, connection_id, "mine", "one")
    columns = "connection_id, user_id, cause, type, occurred_at, data"
    with pytest.raises(IntegrityError):
        await stored.change(
            f"INSERT INTO events (event_id, {columns}) "
            f"SELECT gen_random_uuid(), {columns} FROM events WHERE connection_id = :id",
            id=connection_id,
        )


async def test_concurrent_writers_leave_a_sequence_without_gaps_and_one_chain(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    names = [f"name {number}" for number in range(15)]
    await asyncio.gather(*(renamed(stored, connection_id, name, name) for name in names))
    rows = await stored.events(connection_id)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 15
    assert await is_intact(stored, connection_id)
    assert (await stored.connection(connection_id)).event_seq == len(rows)


async def test_an_event_holds_what_the_domain_says_and_no_more(stored: Stored) -> None:
    connection_id = await stored.pending()
    async with stored.database.transaction() as session:
        row = await locked(session, connection_id)
        event = ProviderTokenRefreshFailed(
            **subject(row, AT), reason="lost_rotation", needs_user_action=True
        )
        await events.append(session, row, event, "claim-1")
    (stored_row,) = await stored.events(connection_id)
    assert (stored_row.event_id, stored_row.occurred_at) == (event.event_id, AT)
    assert (stored_row.user_id, stored_row.connection_id) == (event.user_id, connection_id)
    assert stored_row.data == {
        "provider_id": str(event.provider_id),
        "provider_slug": "schwab",
        "reason": "lost_rotation",
        "needs_user_action": True,
    }


async def lived(stored: Stored) -> UUID:
    """A connection with seven events."""
    connection_id = await stored.active()
    await renamed(stored, connection_id, "mine", "one")
    await stored.commit(await stored.envelope(await stored.claimed(connection_id)))
    await stored.end(connection_id)
    await stored.become(connection_id, ConnectionStatus.DISCONNECTED)
    await stored.shred(connection_id)
    assert await is_intact(stored, connection_id)
    return connection_id


@pytest.mark.parametrize(
    "tampering",
    [
        "SET event_id = gen_random_uuid()",
        "SET user_id = gen_random_uuid()",
        "SET cause = cause || '!'",
        "SET type = 'ConnectionExpired'",
        "SET occurred_at = occurred_at + interval '1 microsecond'",
        'SET data = data || \'{"reason": "user_revoked"}\'',
        "SET data = data - 'provider_slug'",
        "SET seq = seq + 100",
        "SET seq = NULL",
        "SET chain = sha256(chain)",
        "SET chain = NULL",
        "SET connection_id = gen_random_uuid()",
    ],
    ids=lambda each: each[4:],
)
@pytest.mark.parametrize("seq", [1, 4, 7], ids=["first", "middle", "last"])
async def test_tampering_with_any_fact_of_an_event_shows(
    stored: Stored, tampering: str, seq: int
) -> None:
    connection_id = await lived(stored)
    statement = f"UPDATE events {tampering} WHERE connection_id = :id AND seq = :seq"
    assert await stored.change(statement, id=connection_id, seq=seq) == 1
    assert not await is_intact(stored, connection_id)


@pytest.mark.parametrize("seq", [1, 4])
async def test_a_missing_event_shows(stored: Stored, seq: int) -> None:
    connection_id = await lived(stored)
    await stored.change(
        "DELETE FROM events WHERE connection_id = :id AND seq = :seq", id=connection_id, seq=seq
    )
    assert not events.is_intact(await stored.events(connection_id))


async def test_bug_missing_events_at_the_end_did_not_show(stored: Stored) -> None:
    connection_id = await lived(stored)
    await stored.change(
        "DELETE FROM events WHERE connection_id = :id AND seq > 5", id=connection_id
    )
    rows = await stored.events(connection_id)
    assert events.is_intact(rows)  # nobody can tell, of the rows alone
    assert not await is_intact(stored, connection_id)


async def test_events_that_changed_places_show(stored: Stored) -> None:
    connection_id = await lived(stored)
    rows = await stored.events(connection_id)
    assert not events.is_intact([rows[1], rows[0], *rows[2:]])
    assert not events.is_intact([*rows, rows[-1]])


async def test_no_events_are_an_intact_chain_that_ends_nowhere(stored: Stored) -> None:
    connection_id = await stored.pending()
    assert await is_intact(stored, connection_id)


async def test_a_refused_connect_is_recorded_without_a_connection(stored: Stored) -> None:
    connection_id, user_id, provider_id = uuid4(), uuid4(), uuid4()
    attempted = ProviderConnectionAttempted(
        user_id=user_id, provider_id=provider_id, provider_slug="", occurred_at=AT
    )
    failed = ProviderConnectionFailed(
        user_id=user_id, provider_id=provider_id, provider_slug="s" * 51, reason="no"
    )
    for _ in range(2):
        async with stored.database.transaction() as session:
            for event in (attempted, failed):
                await events.append_without_connection(
                    session, connection_id, user_id, event, "run/1"
                )
    rows = await stored.events(connection_id)
    assert [row.type for row in rows] == ["ProviderConnectionAttempted", "ProviderConnectionFailed"]
    assert [(row.seq, row.chain) for row in rows] == [(None, None)] * 2
    assert rows[1].data["provider_slug"] == "s" * 51


async def test_bug_a_command_that_was_refused_before_made_the_chain_look_broken(
    stored: Stored,
) -> None:
    """One that is given again with the same id, and then taken, makes a connection."""
    connection_id = await stored.pending()
    async with stored.database.transaction() as session:
        event = ProviderConnectionAttempted(
            user_id=uuid4(), provider_id=uuid4(), provider_slug="one", occurred_at=AT
        )
        await events.append_without_connection(session, connection_id, uuid4(), event, "run/1")
    await renamed(stored, connection_id, "mine", "one")
    assert [row.seq for row in await stored.events(connection_id)] == [None, 1]
    assert await is_intact(stored, connection_id)


async def test_bug_a_refused_slug_that_no_database_can_hold_was_retried_for_ever(
    stored: Stored,
) -> None:
    connection_id, user_id = uuid4(), uuid4()
    event = ProviderConnectionAttempted(
        user_id=user_id, provider_id=uuid4(), provider_slug="a\x00b\ud800c"
    )
    async with stored.database.transaction() as session:
        await events.append_without_connection(session, connection_id, user_id, event, "run/1")
    (row,) = await stored.events(connection_id)
    assert row.data["provider_slug"] == "a?b?c"


async def test_bug_a_connection_read_before_it_was_locked_gave_a_sequence_number_twice(
    stored: Stored,
) -> None:
    connection_id = await stored.pending()
    async with stored.database.transaction() as session:
        read = await session.get_one(ConnectionRow, connection_id)
        assert read.event_seq == 0
        await renamed(stored, connection_id, "theirs", "theirs")
        row = await locked(session, connection_id)
        assert (row.event_seq, row.alias) == (1, "theirs")
        await connections.rename(session, row, "ours", at=AT + timedelta(1), cause="ours")
    assert [row.seq for row in await stored.events(connection_id)] == [1, 2]
    assert await is_intact(stored, connection_id)


async def test_a_stream_is_in_the_order_of_commits_and_not_of_positions(stored: Stored) -> None:
    slow, quick = await stored.pending(), await stored.pending()
    async with stored.database.transaction() as session:
        row = await locked(session, slow)
        await connections.rename(session, row, "slow", at=AT, cause="slow")
        await session.flush()
        await renamed(stored, quick, "quick", "quick")
        (published,) = await stored.events(quick)
    (late,) = await stored.events(slow)
    assert late.position is not None
    assert published.position is not None
    assert late.position < published.position  # a reader beyond it would have missed the other
    assert late.xid is not None
    assert published.xid is not None
    assert late.xid < published.xid
