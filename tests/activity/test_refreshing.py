"""When a refresh that came to nothing is tried again: when the provider says so, if it says so."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest

from activities.payloads import RefreshCredentials, Refreshed
from activities.refresh import Refresh
from domain.outcomes import Outcome
from tests.world import World

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


async def connected(world: World) -> UUID:
    async with world.working():
        return (await world.imported()).connection_id


async def refresh(world: World, connection_id: UUID) -> Refreshed:
    request = RefreshCredentials(connection_id=connection_id, generation=1)
    return await world.perform(Refresh(world.resources).refresh_credentials, request)


async def asked_to_wait(world: World, retry_after: str | None) -> timedelta:
    """How long is waited after a 429 with this ``Retry-After``, the first failure."""
    connection_id = await connected(world)
    await world.plant("token", "rate_limit", retry_after=retry_after)
    limited = await refresh(world, connection_id)
    assert limited.outcome is Outcome.RATE_LIMITED
    assert limited.retry_in is not None
    trouble = (await world.connections.view(connection_id)).trouble
    assert trouble is not None
    assert trouble.retry_at is not None
    assert abs(trouble.retry_at - trouble.since - limited.retry_in) < SECOND
    return limited.retry_in


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("7", 7 * SECOND),
        ("0", SECOND),
        ("3600", HOUR),
        ("86400", HOUR),
        ("1000000000", HOUR),
        ("soon", SECOND),
        ("-7", SECOND),
        (None, SECOND),
    ],
    ids=repr,
)
async def test_the_provider_says_how_long_it_is_left_alone_within_reason(
    world: World, retry_after: str | None, waits: timedelta
) -> None:
    # A tenth more at most, so that not all come back in the same second; never less.
    assert waits <= await asked_to_wait(world, retry_after) <= waits * 1.1


async def test_the_provider_may_say_until_when_it_is_left_alone(world: World) -> None:
    until = datetime.now(UTC) + timedelta(minutes=20)
    wait = await asked_to_wait(world, format_datetime(until, usegmt=True))
    assert timedelta(minutes=19) < wait < timedelta(minutes=22)


async def test_a_provider_that_says_nothing_is_asked_again_less_and_less_often(
    world: World,
) -> None:
    connection_id = await connected(world)
    await world.plant("token", "status", status=503, times=None)
    for number in range(4):
        failed = await refresh(world, connection_id)
        assert failed.failures == number + 1
        assert failed.retry_in is not None
        assert 2**number * SECOND <= failed.retry_in <= 2**number * SECOND * 1.1


async def test_an_outage_with_a_time_to_come_back_is_a_time_to_come_back(world: World) -> None:
    connection_id = await connected(world)
    await world.plant("token", "status", status=503, headers={"Retry-After": "90"})
    failed = await refresh(world, connection_id)
    assert failed.outcome is Outcome.TRANSIENT
    assert failed.retry_in is not None
    assert 90 * SECOND <= failed.retry_in <= 99 * SECOND
