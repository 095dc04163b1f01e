"""Worker and gateway with clocks that are ten minutes wrong: it is the database's that counts.

Real processes, whose wall clock alone is shifted while they run (``campaign.clocks``). The provider
keeps the right time; what it sees and what it takes is what the tests judge by.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from campaign import clocks
from campaign.clocks import RIGHT, Clock
from client.messaging import FRESH_BUCKET_S
from domain.roles import Role
from domain.schedule import refresh_after
from domain.view import ConnectionView
from gateway.floods import MINUTE_S, MOST
from tests.cli.terminal import Terminal, free_port
from tests.faults.test_frozen_workers import worker
from tests.web.gateway import new_key
from tests.world import World, until

pytestmark = pytest.mark.skipif(clocks.library() is None, reason=clocks.LEFT_OUT)

TEN_MINUTES = timedelta(minutes=10)
TTL_S = 12.0
ASKED_S = 240
"""How long the provider asks to be left alone."""
SLACK_S = 1.0
"""By which a request may reach the provider later than it was claimed: gaps are that much off."""


@dataclass
class Shifted:
    """A gateway process whose clock can be shifted, and the clock."""

    clock: Clock
    http: httpx.AsyncClient

    async def shift(self, by: timedelta) -> None:
        """Set the clock wrong, until the gateway itself tells the wrong time."""
        self.clock.shift(by)

        async def tells_it() -> bool:
            answer = await self.http.get("/healthz")
            return is_off_by(by, parsedate_to_datetime(answer.headers["date"]))

        await until(tells_it)

    async def lease(self, view: ConnectionView) -> httpx.Response:
        path = f"/v1/connections/{view.connection_id}/lease"
        return await self.http.post(path, json={"min_ttl_s": 0})


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """Right, so far."""
    made = Clock.of(tmp_path / "clock")
    assert made is not None
    return made


@pytest.fixture
async def gateway(world: World, terminal: Terminal, clock: Clock) -> AsyncIterator[Shifted]:
    async with gateway_under(clock, world, terminal) as made:
        yield made


@asynccontextmanager
async def gateway_under(clock: Clock, world: World, terminal: Terminal) -> AsyncIterator[Shifted]:
    port = free_port()
    key = await new_key(world, Role.ADMIN)
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    there = {"MOORLINE_GATEWAY_PORT": str(port), **clock.environment}
    url = f"http://127.0.0.1:{port}"
    async with (
        terminal.running("gateway", **there) as running,
        httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as http,
    ):
        await running.says("gateway ready")
        yield Shifted(clock, http)


async def is_taken(world: World, token: str) -> bool:
    """Whether the provider, by its own clock, takes this token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{world.sandbox.base_url}/api/me", headers=headers)
    return answer.status_code == 200


def is_off_by(shift: timedelta, told: datetime) -> bool:
    """Whether a time that a process has told just now is wrong by this much."""
    return abs(told - datetime.now(UTC) - shift) < timedelta(minutes=1)


async def test_shifted_clocks_bring_no_early_storm_and_no_late_refresh(
    world: World, terminal: Terminal, clock: Clock, gateway: Shifted
) -> None:
    await world.behave(access_ttl_s=TTL_S, rotation="strict")
    clock.shift(TEN_MINUTES)
    async with worker(terminal, **clock.environment) as running:
        said = await running.says("worker ready")
        assert is_off_by(TEN_MINUTES, datetime.fromisoformat(said.split()[0]))
        view = await world.connected()
        for shift in (TEN_MINUTES, -TEN_MINUTES, RIGHT):
            await gateway.shift(shift)
            wanted = len(await world.refreshes()) + 2

            async def refreshed_twice(wanted: int = wanted) -> bool:
                leased = await gateway.lease(view)
                assert leased.status_code == 200, leased.text
                assert await is_taken(world, leased.json()["access_token"])
                return len(await world.refreshes()) >= wanted

            await until(refreshed_twice)
    calls = [call.started_at for call in await world.log()]
    due = refresh_after(view.connection_id, timedelta(seconds=TTL_S)).total_seconds()
    for earlier, later in pairwise(calls):
        assert due - SLACK_S < later - earlier < TTL_S


@pytest.mark.parametrize("shift", [TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
async def test_a_shifted_gateway_leases_until_the_token_ends_and_no_longer(
    world: World, terminal: Terminal, gateway: Shifted, shift: timedelta
) -> None:
    await world.behave(access_ttl_s=TTL_S)
    async with worker(terminal):
        view = await world.connected()
        await world.plant("token", "rate_limit", retry_after=str(ASKED_S), times=None)
        await gateway.shift(shift)
        good = await gateway.lease(view)
        assert good.status_code == 200  # ahead, its own clock would say that it has ended
        token = good.json()["access_token"]

        async def has_ended() -> bool:
            return not await is_taken(world, token)

        await until(has_ended)
        refused = await gateway.lease(view)
    assert refused.status_code == 503, refused.text
    assert ASKED_S - TTL_S < int(refused.headers["retry-after"]) <= ASKED_S * 1.1
    (bucket,) = await buckets(world, view)
    assert is_off_by(RIGHT, bucket)


async def test_bug_a_gateway_whose_clock_was_set_back_took_no_message_for_as_long(
    gateway: Shifted,
) -> None:
    path = f"/v1/connections/{uuid4()}/sync"
    answers = [await gateway.http.post(path) for _ in range(MOST)]
    assert {answer.status_code for answer in answers} == {404}
    await gateway.shift(-TEN_MINUTES)
    refused = await gateway.http.post(path)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= MINUTE_S


async def buckets(world: World, view: ConnectionView) -> list[datetime]:
    """The times by which those who wanted a fresh token shared an update."""
    accepted = [
        event.workflow_execution_update_accepted_event_attributes.accepted_request.meta.update_id
        for event in await world.history(view.connection_id)
    ]
    numbers = [int(name.rpartition("-")[2]) for name in accepted if name.startswith("fresh-")]
    return [datetime.fromtimestamp(number * FRESH_BUCKET_S, UTC) for number in numbers]
