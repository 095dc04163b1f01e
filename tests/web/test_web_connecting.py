"""Connecting through the gateway's pages: the good way, and every abuse we know of."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from domain.secret import Secret
from domain.status import StatusReason
from domain.words import WHY
from gateway.confirming import Confirmations
from gateway.sessions import Sessions
from storage.attempts import CODE_LIFE
from tests.web.gateway import RETURN_URL, Web, gateway_of
from tests.web.people import (
    ACTIVE,
    FAILED,
    OWN_FORM,
    PENDING,
    attempt_of,
    begin,
    browser,
    exchanges,
    give,
    go_on,
    key_form,
    onward,
    returned,
    swept,
    to_the_end,
    turned_away,
)
from tests.world import BROKER, Servers, new_world, until, write_broker


async def test_a_user_connects_in_the_simple_mode(web: Web) -> None:
    connection_id, link, _ = await begin(web, alias="my bank")
    assert (await web.world.connections.view(connection_id)).status is PENDING
    async with browser() as person:
        page = await person.get(link)
        assert "A Test" in page.text
        assert "Sandbox" in page.text
        assert "<code>profile</code>" in page.text
        back = await web.world.sandbox.authorize(await go_on(person, link))
        done = await to_the_end(person, back)
    assert "is connected" in done.text
    assert "code=" not in str(done.url)
    view = await web.world.connections.view(connection_id)
    assert (view.status, view.alias) == (ACTIVE, "my bank")


async def test_the_application_confirms_its_user_before_anything_is_exchanged(web: Web) -> None:
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        brought = await returned(web, person, link)
    assert brought["session"] == str(session_id)
    assert await exchanges(web) == 0
    confirmed = {"user_id": str(web.world.user_id), "proof": brought["proof"]}
    answer = await web.app.post(f"/v1/connect-sessions/{session_id}/complete", json=confirmed)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "active"
    assert await exchanges(web) == 1
    again = await web.app.post(f"/v1/connect-sessions/{session_id}/complete", json=confirmed)
    assert (again.status_code, again.json()["status"]) == (200, "active")
    assert await exchanges(web) == 1
    assert (await web.world.connections.view(connection_id)).status is ACTIVE


async def test_a_victim_that_follows_an_attackers_link_connects_nothing(web: Web) -> None:
    """The application sees another user of its own come back than the one who began."""
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as victim:
        brought = await returned(web, victim, link)
    path = f"/v1/connect-sessions/{session_id}/complete"
    wrong = await web.app.post(path, json={"user_id": str(uuid4()), "proof": brought["proof"]})
    assert wrong.status_code == 403
    right = {"user_id": str(web.world.user_id), "proof": brought["proof"]}
    assert (await web.app.post(path, json=right)).status_code == 409
    assert await exchanges(web) == 0
    row = await attempt_of(web, connection_id)
    assert (row.sealed_code, row.reason) == (None, StatusReason.USER_NOT_CONFIRMED)
    assert await turned_away(web, connection_id) == [WHY[StatusReason.USER_NOT_CONFIRMED]]
    assert (await web.world.connections.view(connection_id)).status is PENDING


async def test_a_wrong_proof_confirms_nobody_and_uses_nothing_up(web: Web) -> None:
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    path = f"/v1/connect-sessions/{session_id}/complete"
    user_id = str(web.world.user_id)
    early = await web.app.post(path, json={"user_id": user_id, "proof": "x"})
    assert early.status_code == 403
    async with browser() as person:
        brought = await returned(web, person, link)
    guess = await web.app.post(path, json={"user_id": user_id, "proof": "guess"})
    assert guess.status_code == 403
    assert await turned_away(web, connection_id) == ["the proof is of another session"]
    right = await web.app.post(path, json={"user_id": user_id, "proof": brought["proof"]})
    assert right.json()["status"] == "active"


async def test_an_unconfirmed_code_is_destroyed_after_its_minute(web: Web) -> None:
    connection_id, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        brought = await returned(web, person, link)
    assert (await attempt_of(web, connection_id)).sealed_code is not None
    await swept(web, after=CODE_LIFE)
    assert (await attempt_of(web, connection_id)).sealed_code is None
    assert await turned_away(web, connection_id) == [WHY[StatusReason.AUTHORIZATION_TIMEOUT]]
    confirmed = {"user_id": str(web.world.user_id), "proof": brought["proof"]}
    late = await web.app.post(f"/v1/connect-sessions/{session_id}/complete", json=confirmed)
    assert late.status_code == 409
    assert await exchanges(web) == 0


@pytest.mark.parametrize("return_url", [None, RETURN_URL])
async def test_twenty_callbacks_at_once_make_one_exchange(web: Web, return_url: str | None) -> None:
    """A double click, a prefetch, a reload; all end on the same page."""
    connection_id, link, session_id = await begin(web, return_url=return_url)
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        pages = await asyncio.gather(*(to_the_end(person, back) for _ in range(20)))
        if return_url is None:
            assert {page.status_code for page in pages} == {200}
            assert all("is connected" in page.text for page in pages)
        else:
            (location,) = {page.headers["location"] for page in pages}
            proof = parse_qs(urlsplit(location).query)["proof"][0]
            body = {"user_id": str(web.world.user_id), "proof": proof}
            path = f"/v1/connect-sessions/{session_id}/complete"
            answers = await asyncio.gather(*(web.app.post(path, json=body) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
    assert (await web.world.connections.view(connection_id)).status is ACTIVE
    assert await exchanges(web) == 1


async def test_another_browser_cannot_bring_the_answer(web: Web) -> None:
    """No cookie, or another's; refused, recorded, and nothing is used up."""
    connection_id, link, _ = await begin(web)
    _, other_link, _ = await begin(web)
    async with browser() as person, browser() as stranger:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        await go_on(stranger, other_link)
        async with browser() as nobody:
            assert (await nobody.get(back)).status_code == 400
        assert (await stranger.get(back)).status_code == 400
        assert await exchanges(web) == 0
        types = await web.world.event_types(connection_id)
        assert types.count("AuthorizationCallbackRejected") == 1
        assert "is connected" in (await to_the_end(person, back)).text


async def test_a_link_belongs_to_the_first_browser_that_opens_it(web: Web) -> None:
    _, link, _ = await begin(web)
    async with browser() as person, browser() as second:
        await go_on(person, link)
        taken = await second.post(link, headers=OWN_FORM)
        assert taken.status_code == 409
        assert "another browser" in taken.text
        await go_on(person, link)  # its own browser may go on again


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}],
)
async def test_a_form_from_elsewhere_opens_nothing(web: Web, headers: dict[str, str]) -> None:
    _, link, _ = await begin(web)
    async with browser() as person:
        assert (await person.post(link, headers=headers)).status_code == 403
        assert not person.cookies
        await go_on(person, link)


async def test_looking_at_a_link_or_a_callback_uses_nothing_up(web: Web) -> None:
    _, link, _ = await begin(web)
    async with browser() as person:
        for _ in range(3):
            assert (await person.get(link)).status_code == 200
        back = await web.world.sandbox.authorize(await go_on(person, link))
        assert (await person.head(back)).status_code == 405
        assert "is connected" in (await to_the_end(person, back)).text


async def test_a_user_who_declines_is_told_and_the_connection_has_failed(web: Web) -> None:
    connection_id, link, _ = await begin(web)
    async with browser() as person:
        url = await go_on(person, link)
        back = await web.world.sandbox.authorize(url, decision="deny")
        described = re.sub(r"(error_description)=[^&]*", r"\1=<script>alert(1)</script>", back)
        assert "script" in described
        page = await to_the_end(person, described)
    assert "declined" in page.text
    assert "script" not in page.text
    await web.world.becomes(connection_id, FAILED)


async def test_after_declining_the_application_is_returned_to_without_a_proof(web: Web) -> None:
    _, link, session_id = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        url = await go_on(person, link)
        answer = await to_the_end(person, await web.world.sandbox.authorize(url, decision="deny"))
    assert answer.headers["location"] == f"{RETURN_URL}?session={session_id}"


async def test_states_that_are_not_ours_are_refused_on_a_constant_page(web: Web) -> None:
    """Replayed, unknown, tampered, missing, too long; issuer wrong or absent."""
    _, link, _ = await begin(web)
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        address = back.partition("?")[0]
        issuer = web.world.servers.sandbox.base_url
        quoted = issuer.replace(":", "%3A").replace("/", "%2F")
        for wrong in (
            address,
            f"{address}?state=unknown&code=x",
            f"{address}?{'x' * 9000}",
            back.replace("state=", "state=x"),
            back.replace(quoted, f"{quoted}%2F"),
            back.replace(quoted, quoted.upper()),
            back.replace("iss=", "other="),
            back.replace(f"/callback/{web.world.slug}", "/callback/another"),
        ):
            assert wrong != back
            page = await person.get(wrong)
            assert page.status_code == 400, wrong
            assert "This page was not expected" in page.text
        assert await exchanges(web) == 0
        assert "is connected" in (await to_the_end(person, back)).text
        replayed = await to_the_end(person, back)  # the same browser sees the same result
        assert "is connected" in replayed.text
        assert await exchanges(web) == 1


async def test_the_code_of_one_provider_never_reaches_another(
    servers: Servers, tmp_path: Path
) -> None:
    """What comes back to another provider's address is a mix-up, and aborted."""
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        _, link, _ = await begin(web)
        async with browser() as person:
            url = await go_on(person, link)
            asked = parse_qs(urlsplit(url).query)["redirect_uri"]
            assert asked == [f"{web.options.public_url}/callback/{world.slug}"]
            back = await world.sandbox.authorize(url)
            mixed = back.replace(f"/callback/{world.slug}", "/callback/evil")
            assert (await person.get(mixed)).status_code == 400
        assert await exchanges(web) == 0


@pytest.mark.parametrize(
    "return_url",
    [
        "https://evil.example/back",
        "//evil.example",
        "https:evil.example",
        "\\\\evil.example",
        f"{RETURN_URL}/more",
        f"{RETURN_URL}?next=evil",
        RETURN_URL.replace("http://", "http://user@"),
        f"{RETURN_URL}%0d%0aX: y",
        RETURN_URL.upper(),
        "javascript:alert(1)",
        "",
    ],
)
async def test_a_return_url_must_be_one_of_those_allowed(
    web_without_worker: Web, return_url: str
) -> None:
    """Refused before anything is begun, also for another authorization."""
    web = web_without_worker
    asked = {"provider": web.world.slug, "user_id": str(uuid4()), "return_url": return_url}
    answer = await web.app.post("/v1/connections", json=asked)
    assert answer.status_code == 422
    assert await web.world.connections.list() == []


async def test_a_stolen_code_under_our_state_brings_nothing(web: Web) -> None:
    """The provider compares the verifier, and refuses."""
    connection_id, link, _ = await begin(web)
    stolen = await web.world.connections.connect(web.world.slug, web.world.user_id)
    theirs = parse_qs(urlsplit(await web.world.consent(stolen)).query)["code"][0]
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        ours = parse_qs(urlsplit(back).query)["code"][0]
        page = await to_the_end(person, back.replace(ours, theirs))
    assert "is not connected" in page.text
    assert (await web.world.connections.view(connection_id)).generation == 0


async def test_a_gateway_that_died_before_the_exchange_is_taken_over_from(web: Web) -> None:
    connection_id, link, session_id = await begin(web)
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        cookies = dict(person.cookies)
        dead = Confirmations(web.world.connections, web.world.database)
        dead.go_on = lambda row: None  # type: ignore[method-assign,assignment,return-value]
        sessions = Sessions(web.world.connections, web.world.database, web.options, dead)
        await sessions.come_back(back, cookies)
        assert await exchanges(web) == 0
        page = await to_the_end(person, f"{web.options.public_url}/connected/{session_id}")
    assert "is connected" in page.text
    assert (await web.world.connections.view(connection_id)).status is ACTIVE


async def test_a_connection_is_authorized_again_in_place(web: Web) -> None:
    view = await web.world.connected()
    await web.world.connections.revoke(view.connection_id)
    path = f"/v1/connections/{view.connection_id}/reauthorize"
    answer = await web.app.post(path, json={})
    assert answer.status_code == 201
    async with browser() as person:
        link = answer.json()["url"]
        assert "asks again" in (await person.get(link)).text
        back = await web.world.sandbox.authorize(await go_on(person, link))
        assert "is connected" in (await to_the_end(person, back)).text
    assert (await web.world.connections.view(view.connection_id)).status is ACTIVE


async def test_beginning_twice_with_one_id_makes_one_connection_and_a_new_link(web: Web) -> None:
    connection_id = uuid4()
    _, first, _ = await begin(web, connection_id=str(connection_id))
    asked = {"provider": web.world.slug, "user_id": str(web.world.user_id)}
    again = await web.app.post(
        "/v1/connections", json={**asked, "connection_id": str(connection_id)}
    )
    assert again.status_code == 200
    assert again.json()["connect"]["url"] != first
    other = {**asked, "user_id": str(uuid4()), "connection_id": str(connection_id)}
    assert (await web.app.post("/v1/connections", json=other)).status_code == 409


async def test_cookies_are_bound_to_host_and_https_where_there_is_https(web: Web) -> None:
    _, link, session_id = await begin(web)
    async with browser() as person:
        answer = await person.post(link, headers=OWN_FORM)
    plain = answer.headers["set-cookie"]
    assert plain.startswith(f"moorline-{session_id.hex}=")
    assert "HttpOnly" in plain
    assert "Max-Age=3600" in plain  # also where our clock is wrong, or the link is at its end
    assert "SameSite=lax" in plain
    assert "Secure" not in plain
    secure = replace(web.options, public_url="https://connect.example")
    confirmations = Confirmations(web.world.connections, web.world.database)
    sessions = Sessions(web.world.connections, web.world.database, secure, confirmations)
    assert sessions.cookie_name(session_id) == f"__Host-moorline-{session_id.hex}"


async def test_pages_run_no_script_and_are_framed_by_nobody(web: Web) -> None:
    _, link, _ = await begin(web)
    async with browser() as person:
        for page in (await person.get(link), await person.get(f"{link}x")):
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "frame-ancestors 'none'" in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "same-origin"


# -- by API key --------------------------------------------------------------------------------


async def test_a_user_connects_with_a_key_given_on_our_page(
    servers: Servers, tmp_path: Path
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        connection_id, link, _ = await begin(web, provider=BROKER)
        assert (await world.connections.view(connection_id)).status is PENDING
        made = await world.sandbox.new_key()
        async with browser() as person, browser() as stranger:
            form = await key_form(web, person, link)
            assert 'type="password"' in (await person.get(form)).text
            assert (await stranger.get(form)).status_code == 404
            assert (await give(stranger, form, made.api_key)).status_code == 404
            wrong = await give(person, form, "mlcanary-key-wrong")
            assert wrong.status_code == 409
            assert "mlcanary" not in wrong.text
            answer = await give(person, form, f" {made.api_key}\n")
            done = await person.get(f"{web.options.public_url}{answer.headers['location']}")
        assert "is connected" in done.text
        view = await world.becomes(connection_id, ACTIVE)
        lease = await world.connections.lease(view.connection_id)
        assert lease.access_token == Secret(made.api_key)


async def test_a_key_is_stored_only_after_the_application_has_confirmed_its_user(
    servers: Servers, tmp_path: Path
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        connection_id, link, session_id = await begin(web, provider=BROKER, return_url=RETURN_URL)
        made = await world.sandbox.new_key()
        async with browser() as person:
            form = await key_form(web, person, link)
            answer = await give(person, form, made.api_key)
        location = onward(answer)
        assert made.api_key not in answer.text
        assert (await world.connections.view(connection_id)).status is PENDING
        proof = parse_qs(urlsplit(location).query)["proof"][0]
        confirmed = {"user_id": str(world.user_id), "proof": proof}
        path = f"/v1/connect-sessions/{session_id}/complete"
        assert (await web.app.post(path, json=confirmed)).json()["status"] == "active"


async def test_the_page_a_user_goes_on_by_leads_to_the_provider_alone(web: Web) -> None:
    _, link, _ = await begin(web)
    async with browser() as person:
        answer = await person.post(link, headers=OWN_FORM)
    assert onward(answer).startswith(f"{web.world.servers.sandbox.base_url}/authorize?")


async def test_the_gateway_destroys_by_itself_what_nobody_confirms(web: Web) -> None:
    connection_id, link, _ = await begin(web, return_url=RETURN_URL)
    async with browser() as person:
        await returned(web, person, link)
    await web.world.damage("UPDATE authorization_attempts SET code_until = now()")

    async def fact() -> bool:
        return (await attempt_of(web, connection_id)).sealed_code is None

    await until(fact)
    assert await exchanges(web) == 0


async def test_a_result_that_no_gateway_lived_to_write_down_is_told_all_the_same(web: Web) -> None:
    connection_id, link, session_id = await begin(web)
    async with browser() as person:
        back = await web.world.sandbox.authorize(await go_on(person, link))
        assert "is connected" in (await to_the_end(person, back)).text
        await web.world.damage("UPDATE connect_sessions SET finished_at = NULL")
        page = await to_the_end(person, f"{web.options.public_url}/connected/{session_id}")
    assert "is connected" in page.text
    assert (await web.world.connections.view(connection_id)).status is ACTIVE


async def test_keys_are_not_tried_without_end_on_our_page(servers: Servers, tmp_path: Path) -> None:
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        _, link, _ = await begin(web, provider=BROKER)
        async with browser() as person:
            form = await key_form(web, person, link)
            tries = [await give(person, form, f"guess-{number}") for number in range(31)]
    assert {answer.status_code for answer in tries[:30]} == {409}
    assert tries[30].status_code == 429
