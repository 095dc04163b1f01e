"""Connections as they last: changed by the entity's rules, column by column, never resurrected."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from domain.connection import ProviderConnection
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import Conflict, NotFound
from domain.status import ConnectionStatus, StatusReason, may_become
from storage import connections
from storage.claims import Purpose
from storage.connections import locked
from storage.database import lock_connection
from storage.tables import OrphanRow, StagedRow
from tests.stored import AT, HOUR, Stored

S, R = ConnectionStatus, StatusReason
EVENT_OF = {
    S.ACTIVE: "ProviderConnectionSucceeded",
    S.EXPIRED: "ConnectionExpired",
    S.REVOKED: "ConnectionRevoked",
    S.FAILED: "ProviderConnectionFailed",
    S.DISCONNECTED: "ProviderDisconnectionSucceeded",
}
WAY_TO: dict[ConnectionStatus, list[ConnectionStatus]] = {
    S.PENDING: [],
    S.ACTIVE: [S.ACTIVE],
    S.FAILED: [S.FAILED],
    S.EXPIRED: [S.ACTIVE, S.EXPIRED],
    S.REVOKED: [S.ACTIVE, S.REVOKED],
    S.DISCONNECTED: [S.DISCONNECTED],
}


async def test_a_connection_is_born_pending_with_its_credentials_row(stored: Stored) -> None:
    connection_id = await stored.pending(alias="mine")
    row = await stored.connection(connection_id)
    assert (row.status, row.reason) == (S.PENDING, R.AUTHORIZATION_STARTED)
    assert (row.created_at, row.updated_at, row.status_since) == (AT, AT, AT)
    assert (row.alias, row.connected_at, row.ended_at) == ("mine", None, None)
    held = await stored.credentials(connection_id)
    assert (held.generation, held.claim, held.sealed) == (0, 0, None)
    assert held.lease_until is not None
    assert held.lease_until.year == 1970


async def test_a_connection_is_born_once(stored: Stored) -> None:
    connection_id = await stored.pending()
    with pytest.raises(IntegrityError):
        await stored.pending(id=connection_id)


@pytest.mark.parametrize(
    "changes",
    [{"provider_slug": "s" * 51}, {"provider_slug": ""}, {"alias": "a" * 101}],
    ids=["long slug", "no slug", "long alias"],
)
async def test_the_tables_hold_to_the_entitys_lengths(
    stored: Stored, changes: dict[str, str]
) -> None:
    with pytest.raises(IntegrityError):
        await stored.pending(**changes)


async def test_the_tables_know_the_six_statuses(stored: Stored) -> None:
    connection_id = await stored.pending()
    statement = "UPDATE connections SET status = :status WHERE id = :id"
    for status in S:
        await stored.change(statement, status=status.value, id=connection_id)
    with pytest.raises(IntegrityError):
        await stored.change(statement, status="Active", id=connection_id)


async def test_bug_an_error_of_the_database_showed_what_was_to_be_stored(stored: Stored) -> None:
    with pytest.raises(IntegrityError) as refused:
        await stored.pending(alias="mlcanary-" + "a" * 100)
    assert "[SQL parameters hidden" in str(refused.value)


@pytest.mark.parametrize("target", [status for status in S if status is not S.PENDING])
@pytest.mark.parametrize("status", S)
async def test_every_transition_is_the_entitys(
    stored: Stored, status: ConnectionStatus, target: ConnectionStatus
) -> None:
    connection_id = await stored.pending()
    await stored.commit(await stored.envelope(await stored.claimed(connection_id)))
    for step in WAY_TO[status]:
        await stored.become(connection_id, step)
    before = await stored.connection(connection_id)
    types = await stored.event_types(connection_id)
    if may_become(status, target):
        await stored.become(connection_id, target, R.GRANT_EXPIRED)
        after = await stored.connection(connection_id)
        assert (after.status, after.reason, after.status_since) == (target, R.GRANT_EXPIRED, AT)
        assert await stored.event_types(connection_id) == [*types, EVENT_OF[target]]
        assert (after.connected_at is None) is (S.ACTIVE not in [*WAY_TO[status], target])
    else:
        with pytest.raises(Conflict):
            await stored.become(connection_id, target, R.GRANT_EXPIRED)
        assert await stored.connection(connection_id) == before
        assert await stored.event_types(connection_id) == types


async def test_nothing_goes_back_to_pending(stored: Stored) -> None:
    connection_id = await stored.active()
    with pytest.raises(Conflict):
        await stored.become(connection_id, S.PENDING)


async def test_nothing_becomes_active_without_credentials(stored: Stored) -> None:
    connection_id = await stored.pending()
    with pytest.raises(Conflict, match="Credentials are required"):
        await stored.become(connection_id, S.ACTIVE)


async def test_the_same_cause_again_changes_nothing(stored: Stored) -> None:
    connection_id = await stored.active()
    cause = f"run/{uuid4()}"
    await stored.become(connection_id, S.EXPIRED, R.GRANT_EXPIRED, cause)
    await stored.become(connection_id, S.ACTIVE)
    types = await stored.event_types(connection_id)
    await stored.become(connection_id, S.EXPIRED, R.GRANT_EXPIRED, cause)
    assert (await stored.connection(connection_id)).status == S.ACTIVE
    assert await stored.event_types(connection_id) == types


async def test_a_transition_ends_the_trouble(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.change(
        "UPDATE connections SET degraded_since = now(), degraded_cause = 'transient', "
        "failures = 3, retry_at = now() WHERE id = :id",
        id=connection_id,
    )
    await stored.become(connection_id, S.REVOKED, R.USER_REVOKED)
    row = await stored.connection(connection_id)
    assert (row.degraded_since, row.degraded_cause) == (None, None)
    assert (row.failures, row.retry_at) == (0, None)


async def test_connected_at_is_the_first_time_for_ever(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.change(
        "UPDATE connections SET connected_at = connected_at - interval '1 year' WHERE id = :id",
        id=connection_id,
    )
    first = (await stored.connection(connection_id)).connected_at
    await stored.become(connection_id, S.EXPIRED)
    await stored.become(connection_id, S.ACTIVE)
    assert (await stored.connection(connection_id)).connected_at == first


async def test_the_end_is_set_once_and_never_moved_or_cleared(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.end(connection_id, AT + HOUR)
    await stored.end(connection_id, AT + 2 * HOUR)
    assert (await stored.connection(connection_id)).ended_at == AT + HOUR
    assert (await stored.event_types(connection_id)).count("ProviderDisconnectionAttempted") == 1
    for status in (S.EXPIRED, S.ACTIVE, S.DISCONNECTED, S.DISCONNECTED):
        await stored.become(connection_id, status)
    claim = await stored.claimed(connection_id, Purpose.REVOCATION)
    await stored.commit(await stored.envelope(claim))
    await stored.shred(connection_id)
    assert (await stored.connection(connection_id)).ended_at == AT + HOUR


async def test_of_ten_ends_at_once_one_counts(stored: Stored) -> None:
    connection_id = await stored.active()
    ends = [AT + timedelta(seconds=number) for number in range(10)]
    await asyncio.gather(*(stored.end(connection_id, at) for at in ends))
    assert (await stored.connection(connection_id)).ended_at in ends
    assert (await stored.event_types(connection_id)).count("ProviderDisconnectionAttempted") == 1


async def test_a_name_is_changed_with_an_event_only_if_it_is_another(stored: Stored) -> None:
    connection_id = await stored.pending(alias="old")
    for cause, alias in (("one", "old"), ("two", "new"), ("three", "new"), ("four", None)):
        async with stored.database.transaction() as session:
            row = await locked(session, connection_id)
            await connections.rename(session, row, alias, at=AT, cause=cause)
    assert (await stored.connection(connection_id)).alias is None
    assert await stored.event_types(connection_id) == ["ConnectionRenamed"] * 2


async def test_an_unknown_connection_is_not_found(stored: Stored) -> None:
    async with stored.database.transaction() as session:
        assert await lock_connection(session, uuid4()) is None
        with pytest.raises(NotFound):
            await locked(session, uuid4())


async def test_the_row_and_its_credentials_are_the_entity(stored: Stored) -> None:
    connection_id = await stored.active(alias="mine")
    row, held = await stored.connection(connection_id), await stored.credentials(connection_id)
    assert held.sealed is not None
    assert connections.entity(row, held) == ProviderConnection(
        connection_id,
        row.user_id,
        row.provider_id,
        "schwab",
        S.ACTIVE,
        "mine",
        ProviderCredentials(held.sealed, CredentialType.OAUTH2, AT + HOUR),
        AT,
        None,
        AT,
        AT,
    )


async def test_shredding_destroys_everything_sealed_and_says_so_once(stored: Stored) -> None:
    connection_id = await stored.active()
    attempt = await stored.attempt(connection_id)
    late = await stored.envelope(await stored.claimed(connection_id))
    await stored.lapse(connection_id)
    await stored.claimed(connection_id)
    await stored.commit(late)
    for _ in range(2):
        await stored.shred(connection_id)
    held = await stored.credentials(connection_id)
    assert (held.sealed, held.data_key_id, held.refreshable) == (None, None, False)
    for table in ("data_keys", OrphanRow.__tablename__, StagedRow.__tablename__):
        left = await stored.value(
            f"SELECT count(*) FROM {table} WHERE connection_id = :id", id=connection_id
        )
        assert left == 0
    sealed = "SELECT sealed = '' AND sealed_code IS NULL FROM authorization_attempts WHERE id = :id"
    assert await stored.value(sealed, id=attempt.id) is True
    assert (await stored.event_types(connection_id)).count("CredentialsShredded") == 1


async def test_what_was_shredded_can_be_authorized_again_under_a_new_key(stored: Stored) -> None:
    connection_id = await stored.active()
    old = await stored.key(connection_id)
    await stored.become(connection_id, S.REVOKED)
    await stored.shred(connection_id)
    claim = await stored.claimed(connection_id)
    assert claim.data_key is None
    await stored.commit(await stored.envelope(claim))
    await stored.become(connection_id, S.ACTIVE)
    assert (await stored.credentials(connection_id)).generation == 2
    assert (await stored.key(connection_id)).id != old.id
    assert (await stored.secret(connection_id))["access_token"].reveal() == "mlcanary-at"
