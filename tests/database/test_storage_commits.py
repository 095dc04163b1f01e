"""Committing tokens: once, by the right holder, or kept as an orphan; never over newer ones."""

import asyncio
from datetime import timedelta

import pytest

from domain.deadlines import DeadlineKind
from domain.status import ConnectionStatus, StatusReason
from storage import credentials
from storage.attempts import AttemptStatus
from storage.claims import Claim, Purpose
from storage.credentials import LAPSED, Committed, Envelope
from tests.stored import AT, HOUR, Stored, deadline

DAY = timedelta(days=1)
S = ConnectionStatus


async def test_tokens_are_stored_with_everything_that_goes_with_them(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    ends = (deadline(DeadlineKind.ACCESS_TOKEN, HOUR), deadline(DeadlineKind.GRANT, 7 * DAY))
    envelope = await stored.envelope(claim, access_token="mlcanary-second", deadlines=ends)
    assert await stored.commit(envelope) is Committed.STORED
    row = await stored.credentials(connection_id)
    assert (row.generation, row.claim) == (2, claim.number)
    assert (row.sent_at, row.stored_at, row.expires_at) == (AT, AT, AT + HOUR)
    assert (row.refresh_at, row.refreshable, row.token_type) == (AT + HOUR / 2, True, "Bearer")
    assert row.lease_until == LAPSED
    assert credentials.from_stored(row.deadlines) == ends
    assert (await stored.connection(connection_id)).reauthorize_by == AT + 7 * DAY
    assert (await stored.secret(connection_id))["access_token"].reveal() == "mlcanary-second"
    journalled = (await stored.journal(connection_id))[-1]
    assert (journalled.outcome, journalled.generation) == ("stored", 1)
    assert (await stored.event_types(connection_id))[-1] == "ProviderTokenRefreshSucceeded"


async def test_the_same_tokens_are_stored_once_however_often_they_are_committed(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    envelope = await stored.envelope(await stored.claimed(connection_id))
    results = await asyncio.gather(*(stored.commit(envelope) for _ in range(10)))
    assert set(results) == {Committed.STORED}
    assert (await stored.credentials(connection_id)).generation == 2
    assert (await stored.event_types(connection_id)).count("ProviderTokenRefreshSucceeded") == 1
    assert await stored.orphans(connection_id) == []


async def test_committing_again_after_a_later_refresh_changes_nothing(stored: Stored) -> None:
    connection_id = await stored.active()
    first = await stored.envelope(await stored.claimed(connection_id), access_token="mlcanary-2")
    await stored.commit(first)
    second = await stored.envelope(await stored.claimed(connection_id), access_token="mlcanary-3")
    await stored.commit(second)
    before = await stored.event_types(connection_id)
    assert await stored.commit(first) is Committed.STORED
    assert (await stored.secret(connection_id))["access_token"].reveal() == "mlcanary-3"
    assert await stored.orphans(connection_id) == []
    assert await stored.event_types(connection_id) == before


async def fenced(stored: Stored, claim: Claim) -> Envelope:
    """A successor has the claim by now."""
    envelope = await stored.envelope(claim)
    await stored.lapse(claim.connection_id)
    await stored.claimed(claim.connection_id)
    return envelope


async def overtaken(stored: Stored, claim: Claim) -> Envelope:
    """A successor has stored the next generation already."""
    envelope = await stored.envelope(claim)
    await stored.lapse(claim.connection_id)
    successor = await stored.claimed(claim.connection_id)
    await stored.commit(await stored.envelope(successor, access_token="mlcanary-newer"))
    return envelope


async def ended(stored: Stored, claim: Claim) -> Envelope:
    """The end was asked for meanwhile."""
    await stored.end(claim.connection_id)
    return await stored.envelope(claim)


async def misnumbered(stored: Stored, claim: Claim) -> Envelope:
    """It is not the generation after the one that was presented."""
    return await stored.envelope(claim, generation=claim.generation + 2)


async def attempt_over(stored: Stored, claim: Claim) -> Envelope:
    """The authorization it belongs to has failed meanwhile."""
    attempt = await stored.attempt(claim.connection_id)
    return await stored.envelope(claim, purpose=Purpose.AUTHORIZATION, attempt_id=attempt.id)


async def bug_anothers_attempt(stored: Stored, claim: Claim) -> Envelope:
    """The authorization it names is being exchanged, but for another connection."""
    attempt = await stored.attempt(await stored.pending())
    await stored.change(
        "UPDATE authorization_attempts SET status = 'exchanging' WHERE id = :id", id=attempt.id
    )
    return await stored.envelope(claim, purpose=Purpose.AUTHORIZATION, attempt_id=attempt.id)


LATE = [fenced, overtaken, ended, misnumbered, attempt_over, bug_anothers_attempt]


@pytest.mark.parametrize("late", LATE)
async def test_tokens_that_come_too_late_change_nothing_and_are_kept_sealed(
    stored: Stored, late: object
) -> None:
    assert callable(late)
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    envelope = await late(stored, claim)
    before = await stored.credentials(connection_id)
    types = await stored.event_types(connection_id)
    assert await stored.commit(envelope) is Committed.ORPHANED
    after = await stored.credentials(connection_id)
    assert (after.generation, after.claim, after.sealed) == (
        before.generation,
        before.claim,
        before.sealed,
    )
    assert await stored.event_types(connection_id) == types
    (orphan,) = await stored.orphans(connection_id)
    assert (orphan.claim, orphan.generation) == (claim.number, envelope.generation)
    key = await stored.key(connection_id)
    opened = key.open("credentials", orphan.generation, orphan.sealed)
    assert opened["access_token"].reveal() == "mlcanary-at"
    journalled = {row.claim: row.outcome for row in await stored.journal(connection_id)}
    assert journalled[claim.number] == "orphaned"


@pytest.mark.parametrize("late", [fenced, overtaken, ended])
async def test_an_orphan_is_kept_once_however_often_it_is_committed(
    stored: Stored, late: object
) -> None:
    assert callable(late)
    connection_id = await stored.active()
    envelope = await late(stored, await stored.claimed(connection_id))
    for _ in range(3):
        assert await stored.commit(envelope) is Committed.ORPHANED
    assert len(await stored.orphans(connection_id)) == 1


async def test_orphans_come_newest_first(stored: Stored) -> None:
    connection_id = await stored.active()
    late = []
    for _ in range(3):
        late.append(await stored.envelope(await stored.claimed(connection_id)))
        await stored.lapse(connection_id)
    await stored.claimed(connection_id)
    for envelope in late:
        await stored.commit(envelope)
    kept = [orphan.claim for orphan in await stored.orphans(connection_id)]
    assert kept == sorted((envelope.claim for envelope in late), reverse=True)


async def test_an_answer_after_shredding_is_unreadable_and_not_kept(stored: Stored) -> None:
    connection_id = await stored.active()
    envelope = await fenced(stored, await stored.claimed(connection_id))
    await stored.shred(connection_id)
    for _ in range(2):
        assert await stored.commit(envelope) is Committed.UNREADABLE
    assert await stored.orphans(connection_id) == []
    assert (await stored.credentials(connection_id)).sealed is None


async def test_bug_an_answer_after_shredding_was_stored_under_a_key_that_was_gone(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    envelope = await stored.envelope(claim)
    await stored.shred(connection_id)  # while the claim was held: nobody fenced it
    assert await stored.commit(envelope) is Committed.UNREADABLE
    row = await stored.credentials(connection_id)
    assert (row.generation, row.sealed, row.data_key_id) == (1, None, None)
    assert isinstance(await stored.take(connection_id), Claim)


async def test_an_answer_under_an_older_data_key_is_unreadable_beside_the_new_one(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    envelope = await stored.envelope(claim)
    await stored.shred(connection_id)
    assert (await stored.key(connection_id)).id != envelope.data_key_id
    assert await stored.commit(envelope) is Committed.UNREADABLE


async def test_an_exchange_succeeds_with_its_attempt(stored: Stored) -> None:
    connection_id = await stored.pending()
    attempt = await stored.attempt(connection_id)
    await stored.change(
        "UPDATE authorization_attempts SET status = 'exchanging' WHERE id = :id", id=attempt.id
    )
    claim = await stored.claimed(connection_id, Purpose.AUTHORIZATION)
    envelope = await stored.envelope(claim, attempt_id=attempt.id)
    for _ in range(2):
        assert await stored.commit(envelope) is Committed.STORED
    assert await stored.change(
        "UPDATE authorization_attempts SET sealed = '' WHERE id = :id AND status = :status "
        "AND sealed = '' AND sealed_code IS NULL",
        id=attempt.id,
        status=AttemptStatus.SUCCEEDED,
    )


async def test_tokens_for_an_active_connection_are_a_reauthorization(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id, Purpose.AUTHORIZATION)
    await stored.commit(await stored.envelope(claim, purpose=Purpose.AUTHORIZATION))
    assert (await stored.event_types(connection_id))[-1] == "ConnectionReauthorized"


async def test_a_refresh_that_works_ends_the_trouble(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.change(
        "UPDATE connections SET degraded_since = now(), degraded_cause = 'transient', "
        "failures = 3, retry_at = now() WHERE id = :id",
        id=connection_id,
    )
    await stored.commit(await stored.envelope(await stored.claimed(connection_id)))
    row = await stored.connection(connection_id)
    assert (row.degraded_since, row.degraded_cause, row.retry_at) == (None, None, None)
    assert row.failures == 0
    assert (await stored.event_types(connection_id))[-2:] == [
        "ProviderTokenRefreshSucceeded",
        "ConnectionRecovered",
    ]


async def test_a_refresh_of_a_revoked_connection_is_kept_to_be_revoked(stored: Stored) -> None:
    connection_id = await stored.active()
    claim = await stored.claimed(connection_id)
    await stored.become(connection_id, S.REVOKED, StatusReason.USER_REVOKED)
    assert await stored.commit(await stored.envelope(claim)) is Committed.STORED
    assert (await stored.connection(connection_id)).status == S.REVOKED
    assert (await stored.credentials(connection_id)).generation == 2


async def test_bug_the_row_did_not_know_by_when_the_user_must_act_without_a_refresh_token(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    envelope = await stored.envelope(await stored.claimed(connection_id), refresh_at=None)
    await stored.commit(envelope)
    assert (await stored.connection(connection_id)).reauthorize_by == AT + HOUR


async def test_an_envelope_travels_through_json_and_shows_no_token(stored: Stored) -> None:
    connection_id = await stored.active()
    envelope = await stored.envelope(await stored.claimed(connection_id))
    written = envelope.model_dump_json()
    assert "mlcanary" not in written
    assert Envelope.model_validate_json(written) == envelope
