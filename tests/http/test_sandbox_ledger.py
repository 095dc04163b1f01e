"""The ground-truth log while calls are in flight, held, abandoned or side by side."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from providers.sandbox.remote import Minted
    from tests.http.conftest import App


def refreshing(app: App, minted: Minted) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(app.refresh(minted.refresh_token))


async def abandon(call: asyncio.Task[httpx.Response]) -> None:
    """The client closes its connection, as one does that has lost patience."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_ordinary_call_is_logged_with_all_its_facts(app: App) -> None:
    minted = await app.mint()
    before = time.time()
    await app.refresh(minted.refresh_token)
    (entry,) = await app.sandbox.log(grant_id=minted.grant_id)
    assert (entry.endpoint, entry.grant_type) == ("token", "refresh_token")
    assert (entry.client_id, entry.grant_id) == (app.client_id, minted.grant_id)
    assert (entry.presented, entry.acted, entry.rotated) == ("current", True, True)
    assert (entry.issued_generation, entry.status, entry.answered) == (2, 200, True)
    assert entry.finished_at is not None
    assert before <= entry.started_at <= entry.finished_at <= time.time()


async def test_a_held_answer_shows_as_acted_and_rotated_but_not_answered(app: App) -> None:
    minted = await app.mint()
    fault = await app.plant("delay", seconds=600, when="after_acting")
    call = refreshing(app, minted)
    held = await app.sandbox.logged(lambda entry: entry.acted, grant_id=minted.grant_id)
    assert (held.rotated, held.issued_generation, held.fault) == (True, 2, "delay")
    assert (held.answered, held.finished_at, held.status) == (False, None, None)
    await app.sandbox.clear(fault)
    assert (await call).status_code == 200
    (entry,) = await app.sandbox.log(grant_id=minted.grant_id)
    assert (entry.answered, entry.status) == (True, 200)


async def test_a_call_held_before_acting_shows_as_not_acted(app: App) -> None:
    minted = await app.mint()
    fault = await app.plant("hang")
    call = refreshing(app, minted)
    held = await app.sandbox.logged(lambda _: True, grant_id=minted.grant_id)
    assert (held.acted, held.presented, held.finished_at) == (False, None, None)
    assert (await app.sandbox.grant(minted.grant_id)).refreshes == 0
    await app.sandbox.clear(fault)
    assert (await call).status_code == 200
    assert (await app.sandbox.grant(minted.grant_id)).refreshes == 1


async def test_a_delay_passes_by_itself(app: App) -> None:
    minted = await app.mint()
    await app.plant("delay", seconds=0.1)
    assert (await app.refresh(minted.refresh_token)).status_code == 200
    (entry,) = await app.sandbox.log(grant_id=minted.grant_id)
    assert entry.finished_at is not None
    assert entry.finished_at - entry.started_at >= 0.1


@pytest.mark.parametrize("kind", ["delay", "hang"])
async def test_an_abandoned_answer_is_closed_as_not_answered(app: App, kind: str) -> None:
    minted = await app.mint()
    seconds = {"seconds": 600} if kind == "delay" else {}
    await app.plant(kind, when="after_acting", **seconds)
    call = refreshing(app, minted)
    await app.sandbox.logged(lambda entry: entry.acted, grant_id=minted.grant_id)
    await abandon(call)
    entry = await app.sandbox.logged(
        lambda entry: entry.finished_at is not None, grant_id=minted.grant_id
    )
    assert (entry.acted, entry.rotated, entry.answered, entry.status) == (True, True, False, None)


async def test_a_call_abandoned_while_it_hangs_is_never_acted_on(app: App) -> None:
    minted = await app.mint()
    await app.plant("hang")
    call = refreshing(app, minted)
    await app.sandbox.logged(lambda _: True, grant_id=minted.grant_id)
    await abandon(call)
    entry = await app.sandbox.logged(
        lambda entry: entry.finished_at is not None, grant_id=minted.grant_id
    )
    assert (entry.acted, entry.answered) == (False, False)


async def test_a_slow_server_acts_although_its_client_has_left(app: App) -> None:
    minted = await app.mint()
    fault = await app.plant("delay", seconds=600)
    call = refreshing(app, minted)
    await app.sandbox.logged(lambda _: True, grant_id=minted.grant_id)
    await abandon(call)
    await app.sandbox.clear(fault)
    entry = await app.sandbox.logged(
        lambda entry: entry.finished_at is not None, grant_id=minted.grant_id
    )
    assert (entry.acted, entry.rotated, entry.answered) == (True, True, False)


async def test_a_held_call_holds_no_other(app: App) -> None:
    slow, quick = await app.mint(), await app.mint()
    fault = await app.plant("hang", grant_id=slow.grant_id, when="after_acting")
    call = refreshing(app, slow)
    await app.sandbox.logged(lambda entry: entry.acted, grant_id=slow.grant_id)
    answers = await asyncio.gather(*(app.me(quick.access_token) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await app.refresh(quick.refresh_token)).status_code == 200
    await app.sandbox.clear(fault)
    assert (await call).status_code == 200


async def test_the_log_can_be_read_from_where_one_left_off(app: App) -> None:
    minted = await app.mint()
    await app.refresh(minted.refresh_token)
    (first,) = await app.sandbox.log(grant_id=minted.grant_id)
    await app.me(minted.access_token)
    (second,) = await app.sandbox.log(first.seq, grant_id=minted.grant_id)
    assert second.endpoint == "api"
    assert await app.sandbox.log(second.seq, grant_id=minted.grant_id) == []


async def test_the_log_holds_nothing_that_a_client_made_up(app: App) -> None:
    form = {"grant_type": "canary-type", "client_id": "canary-id", "client_secret": "canary"}
    await app.http.post("/token", data={**form, "refresh_token": "canary"})
    entry = (await app.sandbox.log(endpoint="token"))[-1]
    assert (entry.error, entry.status, entry.client_id) == ("invalid_client", 401, None)
    assert "canary" not in (await app.http.get("/_sandbox/log")).text
