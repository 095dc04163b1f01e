"""Leases over HTTP: who gets a token, when nobody does, and what follows when it is refused."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from domain.roles import Role
from domain.status import ConnectionStatus
from storage import api_keys
from storage.database import now
from tests.web.gateway import Web, gateway_of, new_key
from tests.web.test_web_connections import path_of, problem_of
from tests.world import BROKER, Servers, World, new_world, write_broker

CANARY = "mlcanary"
ROUTES = [("/lease", {"min_ttl_s": 60}), ("/lease/rejected", {"generation": 1})]


@pytest.fixture
async def keyed(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    """A gateway of a world that knows a broker, whose keys are given up at their first refusal."""
    write_broker(tmp_path, servers.sandbox.base_url, BROKER, refusals_until_expired=1)
    async with (
        new_world(servers, tmp_path) as world,
        world.working(),
        gateway_of(world, working=False) as web,
    ):
        yield web


async def lease(web: Web, connection_id: UUID, **body: object) -> httpx.Response:
    return await web.lease.post(path_of(connection_id, "/lease"), json=body)


async def rejected(web: Web, connection_id: UUID, generation: int) -> httpx.Response:
    path = path_of(connection_id, "/lease/rejected")
    return await web.lease.post(path, json={"generation": generation})


async def out_of_date(world: World, connection_id: UUID) -> None:
    """The stored token has ended, and the workflow does not know it yet."""
    await world.damage(
        "UPDATE credentials SET expires_at = now() - interval '1 second'"
        f" WHERE connection_id = '{connection_id}'"
    )


# -- who may lease -------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "body"), ROUTES)
async def test_no_lease_is_for_strangers(
    web_without_worker: Web, of: str, body: dict[str, int]
) -> None:
    web, world = web_without_worker, web_without_worker.world
    revoked = await new_key(world, Role.LEASE)
    async with world.database.transaction() as session:
        await api_keys.revoke(session, revoked.reveal().split("_")[1], await now(session))
    good = (await new_key(world, Role.LEASE)).reveal()
    answers = [await web.anyone.post(path_of(uuid4(), of), json=body)]
    for key in (revoked.reveal(), good[:-1], "moorline_abcdefabcdef_x"):
        headers = {"Authorization": f"Bearer {key}"}
        answers.append(await web.anyone.post(path_of(uuid4(), of), json=body, headers=headers))
    for answer in answers:
        problem_of(answer, 401, "unauthorized")
    assert len({answer.content for answer in answers}) == 1
    problem_of(await web.metrics.post(path_of(uuid4(), of), json=body), 403, "forbidden")


@pytest.mark.parametrize(("of", "body"), ROUTES)
async def test_a_connection_that_there_is_not_is_not_found(
    web_without_worker: Web, of: str, body: dict[str, int]
) -> None:
    connection_id = uuid4()
    answer = await web_without_worker.lease.post(path_of(connection_id, of), json=body)
    found = problem_of(answer, 404, "not-found")
    assert found["detail"] == f"no connection {connection_id}"


async def test_every_key_but_that_of_the_metrics_may_lease(web: Web) -> None:
    view = await web.world.imported()
    for caller in (web.admin, web.app, web.lease):
        answer = await caller.post(path_of(view.connection_id, "/lease"))
        assert answer.status_code == 200


# -- what is handed out --------------------------------------------------------------------------


async def test_a_lease_is_the_access_token_and_never_what_renews_it(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    minted = await web.world.sandbox.mint(web.world.client_id)
    connection_id = uuid4()
    command = await web.world.command(connection_id, minted)
    await web.world.connections.connect_provider(command, connection_id)
    with caplog.at_level(logging.INFO, "gateway.leases"):
        answer = await lease(web, connection_id)
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_at", "generation", "min_ttl_s"}
    assert body["access_token"] == minted.access_token
    assert (body["token_type"], body["generation"], body["min_ttl_s"]) == ("Bearer", 1, 60)
    assert datetime.fromisoformat(body["expires_at"]) - datetime.now().astimezone() > timedelta(
        minutes=50
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.count(CANARY) == 1
    assert str(minted.refresh_token) not in answer.text
    key_id = web.lease.headers["authorization"].split("_")[1]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "gateway.leases"]
    assert line == f"lease of connection {connection_id}, generation 1, by key {key_id}"
    assert CANARY not in caplog.text


async def test_what_is_asked_is_promised_up_to_half_the_lifetime(web: Web) -> None:
    view = await web.world.imported()
    assert (await lease(web, view.connection_id, min_ttl_s=0)).json()["min_ttl_s"] == 0
    promised = (await lease(web, view.connection_id, min_ttl_s=86_400)).json()["min_ttl_s"]
    assert promised < 86_400
    for wrong in (-1, 86_401, "mlcanary"):
        answer = await lease(web, view.connection_id, min_ttl_s=wrong)
        problem_of(answer, 422, "invalid-input")
        assert CANARY not in answer.text


async def test_many_who_find_an_ended_token_cause_one_refresh(web: Web) -> None:
    await web.world.behave(access_ttl_s=600)
    view = await web.world.connected()
    await out_of_date(web.world, view.connection_id)
    answers = await asyncio.gather(*(lease(web, view.connection_id) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["generation"] for answer in answers} == {2}
    assert len(await web.world.refreshes()) == 1


# -- when nothing is handed out ------------------------------------------------------------------


async def test_where_only_the_user_can_help_the_way_back_is_told(web: Web) -> None:
    view = await web.world.imported()
    await web.world.connections.revoke(view.connection_id)
    href = f"{web.options.public_url}/v1/connections/{view.connection_id}/reauthorize"
    for answer in (
        await lease(web, view.connection_id),
        await rejected(web, view.connection_id, 1),
    ):
        found = problem_of(answer, 409, "needs-user")
        assert (found["connection_status"], found["reason"]) == ("revoked", "user_revoked")
        assert found["reauthorize"] == {"method": "POST", "href": href}


async def test_a_connection_that_waits_for_its_user_leases_nothing(web: Web) -> None:
    begun = await web.world.connections.connect(web.world.slug, web.world.user_id)
    found = problem_of(await lease(web, begun.connection_id), 409, "needs-user")
    assert found["connection_status"] == "pending"


async def test_from_the_moment_an_end_is_acknowledged_no_lease_succeeds(web: Web) -> None:
    view = await web.world.imported()
    assert (await lease(web, view.connection_id)).status_code == 200
    ended = await web.app.post(path_of(view.connection_id, "/disconnect"))
    assert ended.status_code in {200, 202}
    answers = await asyncio.gather(*(lease(web, view.connection_id) for _ in range(10)))
    for answer in answers:
        problem_of(answer, 409, "conflict")
        assert CANARY not in answer.text
    await web.world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    problem_of(await lease(web, view.connection_id), 409, "conflict")
    problem_of(await rejected(web, view.connection_id, 1), 409, "conflict")


async def test_while_the_provider_is_away_an_ended_token_is_not_handed_out(web: Web) -> None:
    view = await web.world.imported()
    await web.world.plant("token", "rate_limit", retry_after="240", times=None)
    refused = await web.app.post(path_of(view.connection_id, "/refresh"))
    problem_of(refused, 503, "not-fresh")
    assert (await lease(web, view.connection_id)).status_code == 200  # it is good still
    await out_of_date(web.world, view.connection_id)
    answer = await lease(web, view.connection_id)
    problem_of(answer, 503, "not-fresh")
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert CANARY not in answer.text


# -- a token that the provider refuses -----------------------------------------------------------


async def test_a_refused_token_is_replaced_once_however_many_say_so(web: Web) -> None:
    view = await web.world.imported()
    answers = await asyncio.gather(*(rejected(web, view.connection_id, 1) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["generation"] for answer in answers} == {2}
    late = await rejected(web, view.connection_id, 1)
    assert late.json() == {"outcome": "out_of_date", "generation": 2}
    assert len(await web.world.refreshes()) == 1
    assert (await lease(web, view.connection_id)).json()["generation"] == 2


async def test_a_generation_that_there_was_not_yet_is_refused(web: Web) -> None:
    view = await web.world.imported()
    problem_of(await rejected(web, view.connection_id, 2), 422, "invalid-input")
    problem_of(await rejected(web, view.connection_id, 1 << 63), 422, "invalid-input")


async def test_a_refused_token_of_a_provider_that_is_away_stays_for_now(web: Web) -> None:
    view = await web.world.imported()
    await web.world.plant("token", "rate_limit", retry_after="240", times=None)
    answer = await rejected(web, view.connection_id, 1)
    problem_of(answer, 503, "not-fresh")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_refused_token_of_a_grant_that_is_gone_needs_the_user(web: Web) -> None:
    view = await web.world.imported()
    await web.world.sandbox.take_away((await web.world.grant()).id)
    answer = await rejected(web, view.connection_id, 1)
    assert "reauthorize" in problem_of(answer, 409, "needs-user")


async def test_a_refused_key_that_is_good_is_verified_and_stays(keyed: Web) -> None:
    connection_id, made = await keyed.world.connected_by_key()
    before = len(await keyed.world.sandbox.log(grant_id=made.key_id))
    answer = await rejected(keyed, connection_id, 1)
    assert answer.json() == {"outcome": "verified", "generation": 1}
    assert len(await keyed.world.sandbox.log(grant_id=made.key_id)) > before
    # It is not verified for each who asks.
    again = await rejected(keyed, connection_id, 1)
    problem_of(again, 503, "not-fresh")
    assert 1 <= int(again.headers["retry-after"]) <= 60
    assert CANARY not in answer.text + again.text


async def test_a_refused_key_that_is_deleted_needs_the_user(keyed: Web) -> None:
    connection_id, made = await keyed.world.connected_by_key()
    await keyed.world.sandbox.revoke_key(made.key_id)
    answer = await rejected(keyed, connection_id, 1)
    found = problem_of(answer, 409, "needs-user")
    assert (found["connection_status"], found["reason"]) == ("expired", "key_refused")


async def test_a_leased_key_has_no_end(keyed: Web) -> None:
    connection_id, made = await keyed.world.connected_by_key()
    body = (await lease(keyed, connection_id)).json()
    assert (body["access_token"], body["expires_at"]) == (made.api_key, None)


async def test_leases_are_described_with_their_problems(web_without_worker: Web) -> None:
    described = (await web_without_worker.anyone.get("/v1/openapi.json")).json()
    for of, _ in ROUTES:
        route = described["paths"][f"/v1/connections/{{connection_id}}{of}"]["post"]
        assert {"200", "401", "403", "404", "409", "422", "503"} <= set(route["responses"])
