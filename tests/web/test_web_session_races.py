"""Connect sessions that two are at work on at once, or that something is wrong with."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest

from domain.errors import Conflict
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from gateway.confirming import Confirmations
from storage import session_ends
from storage.attempts import CODE_LIFE
from storage.database import now, run
from storage.gateway_tables import ConnectSessionRow
from tests.web.gateway import RETURN_URL, Web
from tests.web.people import (
    OWN_FORM,
    attempt_of,
    begin,
    browser,
    complete,
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


async def test_whoever_has_waited_for_a_session_sees_it_as_it_is_now(web: Web) -> None:
    """It was read before the lock was waited for, and taken to be as it was then."""
    _, _, session_id = await begin(web, return_url=RETURN_URL)
    database = web.world.database

    async def ended_at() -> datetime | None:
        async with database.transaction() as session:
            return (await session_ends.hold(session, session_id)).row.finished_at

    async def one_waits() -> bool:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with database.transaction() as session:
            return (await run(session, waiting, {})).first() is not None

    async with database.transaction() as session:
        held = await session_ends.hold(session, session_id)
        waiting = asyncio.ensure_future(ended_at())
        await until(one_waits)
        at = await now(session)
        await session_ends.burn(session, held, StatusReason.USER_NOT_CONFIRMED, at)
    assert await waiting == at


async def test_a_key_that_failed_elsewhere_takes_no_other_with_it(broker: Web) -> None:
    """Another gateway was late to learn that the key before was refused."""
    _, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    made = await broker.world.sandbox.new_key()
    async with browser() as person:
        form = await key_form(broker, person, link)
        proof = proof_in(await give(person, form, made.api_key))
    row = await session_of(broker, session_id)
    before = ConnectSessionRow(**{**row.model_dump(), "staged_id": uuid4()})
    late = Confirmations(broker.world.connections, broker.world.database)
    with pytest.raises(Conflict):
        await late.finished(before)
    assert len(await kept_keys(broker)) == 1
    assert (await complete(broker, session_id, proof)).json()["status"] == "active"


async def test_a_key_given_after_another_was_refused_for_good_leads_back(broker: Web) -> None:
    """It was answered 500: the session was confirmed, and had no key to go on with."""
    _, link, session_id = await begin(broker, provider=BROKER, return_url=RETURN_URL)
    async with browser() as person:
        form = await key_form(broker, person, link)
        proof = proof_in(await give(person, form, "mlcanary-wrong"))
        assert (await complete(broker, session_id, proof)).status_code == 409
        again = await give(person, form, "mlcanary-another")
    assert again.status_code == 200
    assert f"{RETURN_URL}?session={session_id}" in again.text
    assert "proof" not in again.text
    assert await kept_keys(broker) == []


async def test_what_came_in_the_last_minute_of_a_link_is_confirmed_within_its_own(
    web: Web,
) -> None:
    _, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        brought = await returned(web, person, link)
    soon = "UPDATE connect_sessions SET expires_at = now() + interval '1 second'"
    await web.world.damage(soon)
    await swept(web, after=CODE_LIFE - timedelta(seconds=15))
    assert (await complete(web, session_id, brought["proof"])).json()["status"] == "active"


async def test_a_session_that_cannot_be_looked_after_is_not_in_the_way_of_others(
    web: Web,
) -> None:
    """Codes of others were kept for ever. The reason may be one of a newer version's."""
    odd, _, _ = await begin(web)
    statement = "UPDATE authorization_attempts SET status = 'failed', reason = 'of_tomorrow'"
    await web.world.damage(f"{statement}, finished_at = now()")
    parked, link, _ = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        await returned(web, person, link)
    await swept(web, after=CODE_LIFE)
    assert (await attempt_of(web, odd)).reason == "of_tomorrow"
    assert (await attempt_of(web, parked)).sealed_code is None
    assert len(await turned_away(web, parked)) == 1


async def test_a_revoke_that_changes_no_status_ends_the_links_before_it_too(web: Web) -> None:
    view = await web.world.connected()
    connection_id, connections = view.connection_id, web.world.connections
    await connections.revoke(connection_id)

    await until(partial(_is_shredded, web, connection_id))
    links = [(await _again(web, connection_id))["url"] for _ in range(2)]
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, links[0]))
        await connections.revoke(connection_id)
        assert (await person.post(links[1], headers=OWN_FORM)).status_code == 409
        assert "not connected" in (await to_the_end(person, back)).text
        assert (await connections.view(connection_id)).status is ConnectionStatus.REVOKED
        after = (await _again(web, connection_id))["url"]
        back = await web.world.sandbox.authorize(await go_on(person, after))
        assert "is connected" in (await to_the_end(person, back)).text


async def test_a_key_from_before_a_revoke_is_not_used_after_it(broker: Web) -> None:
    """Its gateway had died after the confirmation, and another carried on."""
    connection_id, _, _ = await begin(broker, provider=BROKER)
    made = await broker.world.sandbox.new_key()
    await broker.world.connections.supply_key(connection_id, Secret(made.api_key))
    await broker.world.connections.revoke(connection_id)
    await until(partial(_is_shredded, broker, connection_id))
    link = await _again(broker, connection_id, RETURN_URL)
    session_id = UUID(link["session_id"])
    async with browser() as person:
        form = await key_form(broker, person, link["url"])
        proof = proof_in(await give(person, form, made.api_key))
    await broker.world.damage("UPDATE connect_sessions SET confirmed_at = now()")
    await broker.world.connections.revoke(connection_id)
    assert (await complete(broker, session_id, proof)).status_code in {404, 409}
    assert await kept_keys(broker) == []
    view = await broker.world.connections.view(connection_id)
    assert view.status is ConnectionStatus.REVOKED


async def _is_shredded(web: Web, connection_id: UUID) -> bool:
    return (await web.world.connections.view(connection_id)).receipt is not None


async def _again(web: Web, connection_id: UUID, return_url: str | None = None) -> dict[str, str]:
    path = f"/v1/connections/{connection_id}/reauthorize"
    answer = await web.app.post(path, json={"return_url": return_url})
    found: dict[str, str] = answer.json()
    return found


async def test_two_users_who_begin_under_one_id_at_once_do_not_share_it(broker: Web) -> None:
    """Both were given a link to the connection of one of them."""
    asked = {"provider": BROKER, "connection_id": str(uuid4())}
    users = [str(uuid4()) for _ in range(2)]
    answers = await asyncio.gather(
        *(broker.app.post("/v1/connections", json={**asked, "user_id": user}) for user in users)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    (begun,) = (answer.json() for answer in answers if answer.status_code == 201)
    assert begun["connection"]["user_id"] in users
