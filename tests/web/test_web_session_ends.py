"""How connect sessions end, whatever happens on the way; and that nothing is left behind."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import select

from domain.secret import Secret
from domain.status import StatusReason
from domain.words import WHY
from gateway.confirming import Confirmations
from gateway.sessions import Sessions
from storage.attempts import CODE_LIFE
from storage.gateway_tables import ConnectSessionRow
from tests.web.gateway import RETURN_URL, Web
from tests.web.people import (
    ACTIVE,
    FAILED,
    OWN_FORM,
    PENDING,
    attempt_of,
    begin,
    browser,
    complete,
    exchanges,
    give,
    go_on,
    kept_keys,
    key_form,
    proof_in,
    returned,
    session_of,
    swept,
    to_the_end,
    turned_away,
)
from tests.world import BROKER, until

# -- keys --------------------------------------------------------------------------------------


async def test_a_key_that_nobody_confirms_is_destroyed_after_its_minute(broker: Web) -> None:
    connection_id, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    async with browser() as person:
        form = await key_form(broker, person, link)
        proof = proof_in(await give(person, form, "mlcanary-any"))
    assert len(await kept_keys(broker)) == 1
    await swept(broker, after=CODE_LIFE)
    assert await kept_keys(broker) == []
    assert (await complete(broker, session_id, proof)).status_code == 409
    assert await turned_away(broker, connection_id) == [WHY[StatusReason.AUTHORIZATION_TIMEOUT]]


async def test_a_key_that_another_users_browser_brought_is_destroyed_at_once(broker: Web) -> None:
    connection_id, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    made = await broker.world.sandbox.new_key()
    async with browser() as victim:
        form = await key_form(broker, victim, link)
        proof = proof_in(await give(victim, form, made.api_key))
    assert (await complete(broker, session_id, proof, uuid4())).status_code == 403
    assert await kept_keys(broker) == []
    assert (await complete(broker, session_id, proof)).status_code == 409
    assert (await broker.world.connections.view(connection_id)).status is PENDING
    assert await turned_away(broker, connection_id) == [WHY[StatusReason.USER_NOT_CONFIRMED]]


async def test_a_key_given_again_replaces_the_one_before(broker: Web) -> None:
    _, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    made = await broker.world.sandbox.new_key()
    async with browser() as person:
        form = await key_form(broker, person, link)
        first = await give(person, form, "mlcanary-mistyped")
        again = await give(person, form, made.api_key)
    assert proof_in(first) == proof_in(again)
    assert len(await kept_keys(broker)) == 1
    assert (await complete(broker, session_id, proof_in(again))).json()["status"] == "active"
    assert await kept_keys(broker) == []


@pytest.mark.parametrize("return_url", [None, RETURN_URL])
async def test_a_double_click_on_the_form_for_a_key_connects_once(
    broker: Web, return_url: str | None
) -> None:
    connection_id, link, session_id = await begin(broker, provider=BROKER, return_url=return_url)
    made = await broker.world.sandbox.new_key()
    async with browser() as person:
        form = await key_form(broker, person, link)
        answers = await asyncio.gather(*(give(person, form, made.api_key) for _ in range(5)))
        if return_url is None:
            # Whoever came while the key was being looked at is told so, and where it went.
            assert {answer.status_code for answer in answers} <= {303, 409}
            result = await to_the_end(person, f"{broker.options.public_url}/connected/{session_id}")
            assert "is connected" in result.text
        else:
            (proof,) = {proof_in(answer) for answer in answers}
            assert (await complete(broker, session_id, proof)).status_code == 200
    assert await kept_keys(broker) == []
    view = await broker.world.connections.view(connection_id)
    assert (view.status, view.generation) == (ACTIVE, 1)


async def test_a_key_whose_gateway_died_after_the_confirmation_is_used_by_another(
    broker: Web,
) -> None:
    connection_id, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    made = await broker.world.sandbox.new_key()
    async with browser() as person:
        form = await key_form(broker, person, link)
        proof = proof_in(await give(person, form, made.api_key))
    await broker.world.damage("UPDATE connect_sessions SET confirmed_at = now()")
    await swept(broker, after=CODE_LIFE)  # what has been confirmed is not swept
    assert (await complete(broker, session_id, proof)).json()["status"] == "active"
    assert (await broker.world.connections.view(connection_id)).status is ACTIVE


async def test_keys_that_belong_to_nothing_are_destroyed_after_a_day(broker: Web) -> None:
    connection_id, _, _ = await begin(broker, provider=BROKER)
    await broker.world.connections.keep(connection_id, {"api_key": Secret("mlcanary-forgotten")})
    await swept(broker, after=timedelta(hours=23))
    assert len(await kept_keys(broker)) == 1
    await swept(broker, after=timedelta(hours=25))
    assert await kept_keys(broker) == []


# -- codes -------------------------------------------------------------------------------------


async def test_a_session_confirmed_in_time_is_not_ended_by_the_sweep(web: Web) -> None:
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        brought = await returned(web, person, link)
    held = await web.world.plant("token", "delay", seconds=120, when="before_acting")
    answer = asyncio.ensure_future(complete(web, session_id, brought["proof"]))

    async def is_sent() -> bool:
        return len(await web.world.log()) == 1

    await until(is_sent)
    await swept(web, after=CODE_LIFE)
    assert (await session_of(web, session_id)).finished_at is None
    await web.world.sandbox.clear(held)
    assert (await answer).json()["status"] == "active"
    row = await session_of(web, session_id)
    assert (row.finished_at is not None, row.reason) == (True, None)
    assert await turned_away(web, connection_id) == []


async def test_where_the_way_on_is_not_known_a_link_is_not_bound_to_anybody(web: Web) -> None:
    _, link, session_id = await begin(web)
    await web.world.damage("UPDATE authorization_attempts SET expires_at = now()")
    async with browser() as person:
        assert (await person.post(link, headers=OWN_FORM)).status_code == 409
        assert (await session_of(web, session_id)).cookie_hash is None
        await web.world.damage(
            "UPDATE authorization_attempts SET expires_at = now() + interval '5 minutes'"
        )
    async with browser() as other:
        await go_on(other, link)


@pytest.mark.parametrize("revoke", [True, False], ids=["revoked", "disconnected"])
async def test_links_from_before_an_end_connect_nothing(web: Web, revoke: bool) -> None:
    connection_id, first, _ = await begin(web)
    answer = await web.app.post(f"/v1/connections/{connection_id}/reauthorize", json={})
    second = answer.json()["url"]
    connections = web.world.connections
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, first))
        await (connections.revoke if revoke else connections.disconnect)(connection_id)
        assert (await person.get(second)).status_code == 404
        assert (await person.post(second, headers=OWN_FORM)).status_code == 409
        page = await to_the_end(person, back)  # at once: nobody waits for what never comes
        assert "not connected" in page.text
    assert await exchanges(web) == 0
    assert (await attempt_of(web, connection_id)).sealed == b""


async def test_after_a_revoke_a_new_link_connects(web: Web) -> None:
    connection_id, _, _ = await begin(web)
    await web.world.connections.revoke(connection_id)
    await web.world.becomes(connection_id, FAILED)
    answer = await web.app.post(f"/v1/connections/{connection_id}/reauthorize", json={})
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, answer.json()["url"]))
        assert "is connected" in (await to_the_end(person, back)).text
    await web.world.becomes(connection_id, ACTIVE)


async def test_an_answer_that_is_confirmed_again_elsewhere_is_exchanged_once(web: Web) -> None:
    """Two gateways, each asked to complete the same session."""
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        brought = await returned(web, person, link)
    world = web.world
    both = [Confirmations(world.connections, world.database) for _ in range(2)]
    views = await asyncio.gather(
        *(each.complete(session_id, world.user_id, brought["proof"]) for each in both)
    )
    assert [view.status for view in views] == [ACTIVE, ACTIVE]
    assert await exchanges(web) == 1
    types = await world.event_types(connection_id)
    assert types.count("ProviderConnectionSucceeded") == 1


async def test_sessions_are_ended_with_their_time_and_forgotten_after_a_day(web: Web) -> None:
    connection_id, _, session_id = await begin(web)
    await swept(web, after=timedelta(minutes=31))
    row = await session_of(web, session_id)
    assert row.reason == StatusReason.AUTHORIZATION_TIMEOUT
    assert await turned_away(web, connection_id) == []  # nothing had come back
    await web.world.damage("UPDATE connect_sessions SET finished_at = now()")
    await swept(web, after=timedelta(hours=23))
    await session_of(web, session_id)
    await swept(web, after=timedelta(hours=25))
    async with web.world.database.transaction() as session:
        assert (await session.exec(select(ConnectSessionRow))).all() == []


async def test_a_gateway_that_is_told_to_stop_waits_for_what_it_began(web: Web) -> None:
    _, link, session_id = await begin(web)
    world = web.world
    confirmations = Confirmations(world.connections, world.database)
    sessions = Sessions(world.connections, world.database, web.options, confirmations)
    async with browser() as person:
        back = await world.sandbox.authorize(await go_on(person, link))
        held = await world.plant("token", "delay", seconds=120, when="before_acting")
        await sessions.come_back(back, dict(person.cookies))
    closing = asyncio.ensure_future(confirmations.aclose())

    async def is_sent() -> bool:
        return len(await world.log()) == 1

    await until(is_sent)
    assert not closing.done()
    await world.sandbox.clear(held)
    await closing
    assert (await session_of(web, session_id)).finished_at is not None
