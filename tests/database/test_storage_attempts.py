"""Authorization attempts: answered once, exchanged once, in time, and never across connections."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import Conflict, NotFound, StorageFault
from domain.secret import Secret
from domain.status import StatusReason
from storage import attempts
from storage.attempts import CODE_LIFE, WINDOW, AttemptSecrets, AttemptStatus
from storage.connections import locked
from storage.shredding import shred
from storage.tables import AttemptRow
from tests.stored import AT, Stored

SECOND = timedelta(seconds=1)
CODE = Secret("mlcanary-code")
S = AttemptStatus


async def park(stored: Stored, attempt: AttemptRow, after: timedelta = SECOND) -> None:
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id, lock=True)
        await attempts.park(session, stored.vault, row, CODE, AT + after)


async def take(stored: Stored, attempt: AttemptRow, after: timedelta) -> bool:
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id, lock=True)
        return attempts.start_exchange(row, AT + after)


async def status(stored: Stored, attempt: AttemptRow) -> str:
    async with stored.database.transaction() as session:
        return (await attempts.get(session, attempt.id)).status


async def secrets(stored: Stored, attempt: AttemptRow) -> AttemptSecrets:
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id)
        return await attempts.secrets_of(session, stored.vault, row)


async def test_an_attempt_goes_from_pending_over_parked_to_exchanging(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending())
    assert await status(stored, attempt) == S.PENDING
    await park(stored, attempt)
    assert await status(stored, attempt) == S.PARKED
    assert await take(stored, attempt, 2 * SECOND) is True
    assert await status(stored, attempt) == S.EXCHANGING


async def test_what_an_attempt_keeps_is_sealed_and_comes_back_whole(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending(), state="mlcanary-of-mine")
    kept = await secrets(stored, attempt)
    assert kept.state.reveal() == "mlcanary-of-mine"
    assert (kept.verifier.reveal(), kept.code) == ("mlcanary-verifier", None)
    await park(stored, attempt)
    code = (await secrets(stored, attempt)).code
    assert code is not None
    assert code.reveal() == "mlcanary-code"
    assert "mlcanary" not in repr(kept)


async def test_the_same_cause_again_is_the_same_attempt(stored: Stored) -> None:
    connection_id = await stored.pending()
    cause = f"run/{uuid4()}"
    first = await stored.attempt(connection_id, cause=cause)
    again = await stored.attempt(connection_id, cause=cause)
    assert again.id == first.id
    assert await stored.change(
        "UPDATE authorization_attempts SET cause = cause WHERE connection_id = :id",
        id=connection_id,
    )


async def test_an_attempt_is_found_by_the_state_that_was_sent(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending(), state="mlcanary-found")
    async with stored.database.transaction() as session:
        assert (await attempts.by_state(session, Secret("mlcanary-found"))).id == attempt.id
        for stranger in ("", "mlcanary-Found", "mlcanary-found ", "x" * 8000):
            with pytest.raises(NotFound):
                await attempts.by_state(session, Secret(stranger))


async def test_an_unknown_attempt_is_not_found(stored: Stored) -> None:
    async with stored.database.transaction() as session:
        with pytest.raises(NotFound):
            await attempts.get(session, uuid4())


async def test_a_replayed_redirect_is_refused_whatever_it_brings(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending())
    await park(stored, attempt)
    with pytest.raises(Conflict, match="received its answer before"):
        await park(stored, attempt)
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id)
        with pytest.raises(Conflict, match="received its answer before"):
            attempts.refuse(row, StatusReason.AUTHORIZATION_DENIED, AT)
    assert await status(stored, attempt) == S.PARKED


async def test_of_twenty_redirects_at_once_one_is_taken(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending(), state="mlcanary-twenty")

    async def redirected() -> bool:
        async with stored.database.transaction() as session:
            row = await attempts.by_state(session, Secret("mlcanary-twenty"))
            try:
                await attempts.park(session, stored.vault, row, CODE, AT + SECOND)
            except Conflict:
                return False
            return True

    taken = await asyncio.gather(*(redirected() for _ in range(20)))
    assert sum(taken) == 1
    assert await status(stored, attempt) == S.PARKED


async def test_of_ten_exchanges_at_once_one_may_begin(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending())
    await park(stored, attempt)

    async def exchange() -> bool:
        try:
            return await take(stored, attempt, 2 * SECOND)
        except Conflict:
            return False

    assert sum(await asyncio.gather(*(exchange() for _ in range(10)))) == 1


@pytest.mark.parametrize("before", [S.PENDING, S.EXCHANGING, S.SUCCEEDED, S.FAILED])
async def test_only_a_parked_code_is_exchanged(stored: Stored, before: AttemptStatus) -> None:
    attempt = await stored.attempt(await stored.pending())
    await stored.change(
        "UPDATE authorization_attempts SET status = :status WHERE id = :id",
        status=before,
        id=attempt.id,
    )
    with pytest.raises(Conflict, match="is being exchanged, or has been"):
        await take(stored, attempt, SECOND)


@pytest.mark.parametrize(
    ("after", "open_still"),
    [(WINDOW - SECOND, True), (WINDOW, False), (WINDOW + SECOND, False)],
)
async def test_the_window_closes(stored: Stored, after: timedelta, open_still: bool) -> None:
    attempt = await stored.attempt(await stored.pending())
    if open_still:
        await park(stored, attempt, after)
    else:
        with pytest.raises(Conflict, match="the time to authorize is over"):
            await park(stored, attempt, after)
    assert await status(stored, attempt) == (S.PARKED if open_still else S.PENDING)


@pytest.mark.parametrize(
    ("after", "in_time"),
    [(CODE_LIFE - SECOND, True), (CODE_LIFE, False), (CODE_LIFE * 9, False)],
)
async def test_a_code_is_good_for_a_minute(stored: Stored, after: timedelta, in_time: bool) -> None:
    attempt = await stored.attempt(await stored.pending())
    await park(stored, attempt, SECOND)
    assert await take(stored, attempt, SECOND + after) is in_time
    assert await status(stored, attempt) == S.EXCHANGING  # taken out either way, never again


async def test_a_refusal_ends_the_attempt_with_its_reason(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending())
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id)
        attempts.refuse(row, StatusReason.AUTHORIZATION_DENIED, AT + SECOND)
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id)
    assert (row.status, row.reason) == (S.FAILED, "authorization_denied")
    assert (row.finished_at, row.sealed, row.sealed_code) == (AT + SECOND, b"", None)


async def test_a_finished_attempt_has_forgotten_its_secrets(stored: Stored) -> None:
    attempt = await stored.attempt(await stored.pending())
    await park(stored, attempt)
    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id)
        attempts.finish(row, S.FAILED, StatusReason.EXCHANGE_INTERRUPTED, AT)
    with pytest.raises(StorageFault):
        await secrets(stored, attempt)


async def test_an_attempt_from_before_a_shredding_is_void(stored: Stored) -> None:
    connection_id = await stored.active()
    pending, parked = await stored.attempt(connection_id), await stored.attempt(connection_id)
    await park(stored, parked)
    await stored.shred(connection_id)
    for attempt in (pending, parked):
        with pytest.raises(Conflict, match="begin anew"):
            await secrets(stored, attempt)
    with pytest.raises(Conflict, match="begin anew"):
        await park(stored, pending)
    await stored.key(connection_id)  # somebody has begun anew
    with pytest.raises(Conflict, match="begin anew"):
        await park(stored, pending)
    assert await status(stored, pending) == S.PENDING


async def test_another_connections_secrets_open_nothing(stored: Stored) -> None:
    mine, theirs = await stored.pending(), await stored.pending()
    ours, other = await stored.attempt(mine), await stored.attempt(theirs)
    sibling = await stored.attempt(mine)
    for moved_from in (other, sibling):
        await stored.change(
            "UPDATE authorization_attempts SET sealed = "
            "(SELECT sealed FROM authorization_attempts WHERE id = :other) WHERE id = :id",
            other=moved_from.id,
            id=ours.id,
        )
        with pytest.raises(StorageFault):
            await secrets(stored, ours)


async def test_the_newest_attempt_is_the_one_that_was_begun_last(stored: Stored) -> None:
    connection_id = await stored.pending()
    async with stored.database.transaction() as session:
        assert await attempts.newest(session, connection_id) is None
    first, second = await stored.attempt(connection_id), await stored.attempt(connection_id)
    await stored.change(
        "UPDATE authorization_attempts SET created_at = created_at - interval '1 minute' "
        "WHERE id = :id",
        id=first.id,
    )
    async with stored.database.transaction() as session:
        newest = await attempts.newest(session, connection_id)
    assert newest is not None
    assert newest.id == second.id


async def test_bug_a_redirect_and_a_shredding_at_once_deadlocked(stored: Stored) -> None:
    connection_id = await stored.active()
    attempt = await stored.attempt(connection_id)

    async def shredded() -> None:
        async with stored.database.transaction() as session:
            row = await locked(session, connection_id)
            await shred(session, row, at=AT, cause="shred")

    async with stored.database.transaction() as session:
        row = await attempts.get(session, attempt.id, lock=True)
        shredding = asyncio.ensure_future(shredded())
        await stored.somebody_waits()  # the data key is gone, and it waits for this row
        # If this waited for the other in turn, PostgreSQL would end one of the two by an error.
        await attempts.park(session, stored.vault, row, CODE, AT + SECOND)
    await shredding
    sealed = "SELECT sealed_code IS NULL FROM authorization_attempts WHERE id = :id"
    assert await stored.value(sealed, id=attempt.id)
