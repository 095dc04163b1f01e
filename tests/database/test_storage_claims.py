"""The claim: one holder at a time, a lease that lapses, and a journal of every call."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import NotFound
from domain.status import ConnectionStatus
from storage import claims
from storage.claims import LEASE, Claim, JournalEntry, NotClaimed, Purpose
from storage.database import Database, now
from tests.stored import Stored

AMBIGUOUS = JournalEntry("ambiguous", may_have_acted=True)
TRANSIENT = JournalEntry("transient", http_status=503)


async def close(stored: Stored, claim: Claim, entry: JournalEntry = TRANSIENT) -> bool:
    async with stored.database.transaction() as session:
        return await claims.close(session, claim, entry)


async def test_of_ten_claimants_one_wins_and_leaves_one_row_in_the_journal(stored: Stored) -> None:
    connection_id = await stored.active()
    databases = [Database(stored.url) for _ in range(10)]
    takes = [
        claims.take(database, connection_id, Purpose.REFRESH, generation=1)
        for database in databases
    ]
    taken = await asyncio.gather(*takes)
    for database in databases:
        await database.close()
    (winner,) = [claim for claim in taken if isinstance(claim, Claim)]
    assert [claim for claim in taken if claim is not winner] == [NotClaimed.HELD] * 9
    assert winner.generation == 1
    refreshes = [row for row in await stored.journal(connection_id) if row.kind == "refresh"]
    assert [(row.claim, row.outcome) for row in refreshes] == [(winner.number, None)]
    assert (await stored.event_types(connection_id)).count("ProviderTokenRefreshAttempted") == 1


async def test_a_claim_is_leased_for_ten_seconds_by_the_databases_clock(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    until = (await stored.credentials(connection_id)).lease_until
    async with stored.database.transaction() as session:
        at = await now(session)
    assert until is not None
    assert claim.claimed_at <= at < until <= claim.claimed_at + LEASE + timedelta(seconds=1)


async def test_a_held_claim_is_held_for_every_purpose(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.claimed(connection_id)
    assert {await stored.take(connection_id, purpose) for purpose in Purpose} == {NotClaimed.HELD}


async def test_a_generation_that_is_past_is_not_claimed(stored: Stored) -> None:
    connection_id = await stored.active()
    assert await stored.take(connection_id, generation=0) is NotClaimed.MOVED
    assert len(await stored.journal(connection_id)) == 1
    assert isinstance(await stored.take(connection_id, generation=1), Claim)


async def test_a_generation_older_than_is_meant_is_claimed_for_its_holder_to_say_so(
    stored: Stored,
) -> None:
    """As in a database that was restored from a backup."""
    connection_id = await stored.active()
    claim = await stored.take(connection_id, generation=2)
    assert isinstance(claim, Claim)
    assert claim.generation == 1


async def test_once_the_end_was_asked_for_only_revoking_is_claimed(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.end(connection_id)
    assert await stored.take(connection_id, Purpose.REFRESH) is NotClaimed.ENDED
    assert await stored.take(connection_id, Purpose.AUTHORIZATION) is NotClaimed.ENDED
    assert isinstance(await stored.take(connection_id, Purpose.REVOCATION), Claim)


async def test_there_is_no_claim_on_a_connection_that_does_not_exist(stored: Stored) -> None:
    with pytest.raises(NotFound):
        await stored.take(uuid4())


async def test_a_claim_carries_the_credentials_and_their_key_as_they_stand(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    assert claim.data_key is not None
    key = stored.vault.unwrap(claim.data_key)
    assert claim.credentials.sealed is not None
    opened = key.open("credentials", claim.generation, claim.credentials.sealed)
    assert opened["access_token"].reveal() == "mlcanary-at"
    assert "mlcanary" not in repr(claim)


async def test_a_lease_that_lapsed_lets_a_successor_in(stored: Stored) -> None:
    connection_id = await stored.active()
    killed = await stored.claimed(connection_id)
    await stored.lapse(connection_id)
    successor = await stored.claimed(connection_id)
    assert successor.number == killed.number + 1
    assert successor.generation == killed.generation


async def test_a_holder_renews_its_lease(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    before = (await stored.credentials(connection_id)).lease_until
    assert await claims.renew(stored.database, claim) is True
    after = (await stored.credentials(connection_id)).lease_until
    assert before is not None
    assert after is not None
    assert after > before


async def test_a_lapsed_lease_can_be_renewed_until_a_successor_has_come(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    await stored.lapse(connection_id)
    assert await claims.renew(stored.database, claim) is True
    assert await stored.take(connection_id) is NotClaimed.HELD


async def test_a_successor_is_not_disturbed_by_the_one_before(stored: Stored) -> None:
    connection_id = await stored.active()
    zombie = await stored.claimed(connection_id)
    await stored.lapse(connection_id)
    successor = await stored.claimed(connection_id)
    held_until = (await stored.credentials(connection_id)).lease_until
    assert await claims.renew(stored.database, zombie) is False
    assert await close(stored, zombie, AMBIGUOUS) is False
    row = await stored.credentials(connection_id)
    assert (row.claim, row.lease_until) == (successor.number, held_until)
    assert await stored.take(connection_id) is NotClaimed.HELD


async def test_closing_gives_the_claim_back_and_journals_how_it_went(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    entry = JournalEntry("app_misconfigured", http_status=401, code="invalid_client")
    assert await close(stored, claim, entry) is True
    row = (await stored.journal(connection_id))[-1]
    assert (row.outcome, row.http_status, row.code) == ("app_misconfigured", 401, "invalid_client")
    assert row.may_have_acted is False
    assert row.finished_at is not None
    assert row.finished_at >= row.claimed_at
    assert isinstance(await stored.take(connection_id), Claim)


async def test_bug_a_renewal_that_came_late_held_a_claim_that_was_given_back(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    await stored.commit(await stored.envelope(claim))
    assert await claims.renew(stored.database, claim) is False
    again = await stored.claimed(connection_id)
    await close(stored, again)
    assert await claims.renew(stored.database, again) is False
    assert isinstance(await stored.take(connection_id), Claim)


async def test_only_a_refresh_is_an_event(stored: Stored) -> None:
    connection_id = await stored.active()
    before = await stored.event_types(connection_id)
    for purpose in (Purpose.AUTHORIZATION, Purpose.REVOCATION):
        await close(stored, await stored.claimed(connection_id, purpose))
    assert await stored.event_types(connection_id) == before
    await stored.claimed(connection_id)
    assert await stored.event_types(connection_id) == [*before, "ProviderTokenRefreshAttempted"]


@pytest.mark.parametrize(
    ("entry", "lost"),
    [
        (None, True),
        (AMBIGUOUS, True),
        (JournalEntry("transient", may_have_acted=True, http_status=503), True),
        (TRANSIENT, False),
        (JournalEntry("rate_limited", http_status=429), False),
        (JournalEntry("app_misconfigured", http_status=401), False),
    ],
    ids=["killed", "ambiguous", "failed halfway", "never sent", "rate limited", "misconfigured"],
)
async def test_an_earlier_call_may_have_lost_its_answer(
    stored: Stored, entry: JournalEntry | None, lost: bool
) -> None:
    connection_id = await stored.active()
    earlier = await stored.claimed(connection_id)
    assert await stored.lost_answer(earlier) is False
    if entry is None:
        await stored.lapse(connection_id)
    else:
        await close(stored, earlier, entry)
    assert await stored.lost_answer(await stored.claimed(connection_id)) is lost


async def test_what_was_lost_of_an_earlier_generation_is_settled(stored: Stored) -> None:
    connection_id = await stored.active()
    await close(stored, await stored.claimed(connection_id), AMBIGUOUS)
    found = await stored.claimed(connection_id)
    assert await stored.lost_answer(found) is True
    await stored.commit(await stored.envelope(found))
    assert await stored.lost_answer(await stored.claimed(connection_id)) is False


async def test_only_refreshes_lose_answers(stored: Stored) -> None:
    connection_id = await stored.active()
    await close(stored, await stored.claimed(connection_id, Purpose.REVOCATION), AMBIGUOUS)
    assert await stored.lost_answer(await stored.claimed(connection_id)) is False


async def test_only_what_is_active_is_claimed_for_refreshing(stored: Stored) -> None:
    """A process that was frozen must not refresh what its user has revoked meanwhile."""
    connection_id = await stored.active()
    await stored.become(connection_id, ConnectionStatus.REVOKED)
    assert await stored.take(connection_id, Purpose.REFRESH, 1) is NotClaimed.INACTIVE
    assert isinstance(await stored.take(connection_id, Purpose.REVOCATION), Claim)
