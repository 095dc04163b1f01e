"""Verifying API keys: daily, given up after three refusals in a row, and never in a hurry."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue

from activities.payloads import Refreshed, VerifyApiKey
from activities.verify_api_key import Verification
from domain.outcomes import Outcome
from domain.status import StatusReason
from providers.sandbox.remote import NewKey
from tests.world import Servers, World, new_world, write_broker

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AGAIN = timedelta(minutes=15)
GOOD: dict[str, JsonValue] | None = None
REFUSED: dict[str, JsonValue] = {"kind": "status", "status": 401, "body": {}}
AWAY: dict[str, JsonValue] = {"kind": "status", "status": 503}
LIMITED: dict[str, JsonValue] = {"kind": "rate_limit", "retry_after": "420"}


@pytest.fixture
async def keyed(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world without a worker, whose provider takes keys and has no data that is read."""
    write_broker(tmp_path, servers.sandbox.base_url, data=None)
    async with new_world(servers, tmp_path) as world:
        yield world


async def connected(world: World) -> tuple[UUID, NewKey]:
    async with world.working():
        return await world.connected_by_key()


async def verify(
    world: World, connection: tuple[UUID, NewKey], answer: dict[str, JsonValue] | None = GOOD
) -> Refreshed:
    """Verify once, when it is due, while the provider answers like this."""
    await world.damage("UPDATE connections SET retry_at = clock_timestamp()")
    return await verify_early(world, connection, answer)


async def verify_early(
    world: World, connection: tuple[UUID, NewKey], answer: dict[str, JsonValue] | None = GOOD
) -> Refreshed:
    """Verify once, though it may not be due yet."""
    connection_id, made = connection
    if answer is not None:
        fields = {name: value for name, value in answer.items() if name != "kind"}
        await world.sandbox.plant("api", str(answer["kind"]), grant_id=made.key_id, **fields)
    request = VerifyApiKey(connection_id=connection_id, generation=1)
    return await world.perform(Verification(world.resources).verify_api_key, request)


async def test_a_good_key_is_verified_again_in_a_day_each_time(keyed: World) -> None:
    connection = await connected(keyed)
    for _ in range(3):
        verified = await verify(keyed, connection)
        assert verified.outcome is Outcome.VERIFIED
        assert verified.standing is not None
        assert verified.standing.refresh_in is not None
        assert DAY - timedelta(minutes=1) < verified.standing.refresh_in <= DAY
    view = await keyed.connections.view(connection[0])
    assert view.refresh_at is not None
    assert view.refresh_at > view.created_at + DAY


async def test_three_refusals_in_a_row_end_it_and_no_fewer(keyed: World) -> None:
    connection = await connected(keyed)
    answers = [await verify(keyed, connection, REFUSED) for _ in range(3)]
    assert [answer.reason for answer in answers] == [None, None, StatusReason.KEY_REFUSED]
    assert [answer.failures for answer in answers[:2]] == [1, 2]


@pytest.mark.parametrize("between", [AWAY, LIMITED, GOOD], ids=["away", "limited", "good"])
async def test_whatever_comes_between_two_refusals_begins_their_count_anew(
    keyed: World, between: dict[str, JsonValue] | None
) -> None:
    connection = await connected(keyed)
    sequence = [REFUSED, REFUSED, between, REFUSED, REFUSED, REFUSED]
    answers = [await verify(keyed, connection, answer) for answer in sequence]
    assert [answer.reason for answer in answers] == [*5 * [None], StatusReason.KEY_REFUSED]


async def test_failures_of_another_kind_are_no_refusals_however_many(keyed: World) -> None:
    connection = await connected(keyed)
    answers = [await verify(keyed, connection, AWAY) for _ in range(5)]
    assert [answer.failures for answer in answers] == [1, 2, 3, 4, 5]
    refused = await verify(keyed, connection, REFUSED)
    assert (refused.reason, refused.failures) == (None, 1)


async def test_a_refused_key_is_tried_again_after_a_quarter_of_an_hour(keyed: World) -> None:
    connection = await connected(keyed)
    for _ in range(2):
        assert (await verify(keyed, connection, REFUSED)).retry_in == AGAIN


async def test_a_refusal_before_it_is_due_is_the_same_refusal_and_not_another(
    keyed: World,
) -> None:
    connection = await connected(keyed)
    assert (await verify(keyed, connection, REFUSED)).failures == 1
    for _ in range(3):
        early = await verify_early(keyed, connection, REFUSED)
        assert (early.reason, early.failures) == (None, 1)
        assert early.retry_in is not None
        assert timedelta(0) < early.retry_in < AGAIN
    assert (await verify(keyed, connection, REFUSED)).failures == 2


async def test_a_provider_that_is_away_is_asked_again_less_and_less_often(keyed: World) -> None:
    connection = await connected(keyed)
    waits = [(await verify(keyed, connection, AWAY)).retry_in for _ in range(4)]
    for number, wait in enumerate(waits):
        assert wait is not None
        assert timedelta(seconds=2**number) <= wait <= timedelta(seconds=2**number * 1.1)
    await verify(keyed, connection, GOOD)
    assert (await verify(keyed, connection, AWAY)).failures == 1


async def test_a_provider_that_says_how_long_to_wait_is_left_alone_for_so_long(
    keyed: World,
) -> None:
    wait = (await verify(keyed, await connected(keyed), LIMITED)).retry_in
    assert wait is not None
    assert timedelta(minutes=7) <= wait <= timedelta(minutes=7.7)


async def test_a_key_that_does_not_open_is_not_a_key_that_is_refused(keyed: World) -> None:
    connection = await connected(keyed)
    await keyed.damage("UPDATE data_keys SET key_id = 'retired'")
    before = len(await keyed.sandbox.log(grant_id=connection[1].key_id))
    answer = await verify(keyed, connection)
    assert (answer.outcome, answer.reason) == (Outcome.STORAGE_FAULT, None)
    assert len(await keyed.sandbox.log(grant_id=connection[1].key_id)) == before
