"""Connections over HTTP: every route, who may call it, and what it never says."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from domain.roles import Role
from domain.status import ConnectionStatus
from storage import api_keys
from storage.database import now
from tests.web.gateway import Web, gateway_of, new_key
from tests.world import BROKER, Servers, data_of, new_world, until, write_broker

CANARY = "mlcanary"
ROUTES = [
    ("GET", "/v1/connections", None),
    ("GET", "/v1/connections/{id}", None),
    ("GET", "/v1/connections/{id}/explanation", None),
    ("PATCH", "/v1/connections/{id}", {"alias": "mine"}),
    ("POST", "/v1/connections/{id}/sync", None),
    ("POST", "/v1/connections/{id}/refresh", None),
    ("POST", "/v1/connections/{id}/revoke", None),
    ("POST", "/v1/connections/{id}/disconnect", None),
    ("PUT", "/v1/connections/{id}/credentials", {}),
]
OF_ONE = [route for route in ROUTES if "{id}" in route[1] and route[0] != "PUT"]


@pytest.fixture
async def reading(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    """A gateway of a world whose provider's data is read."""
    async with (
        new_world(servers, tmp_path, entry=data_of(servers)) as world,
        gateway_of(world) as web,
    ):
        yield web


@pytest.fixture
async def keyed(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    """A gateway of a world that knows a broker, whose keys are given up at their first refusal."""
    write_broker(
        tmp_path,
        servers.sandbox.base_url,
        verify_every_s=1,
        refused_again_after_s=1,
        refusals_until_expired=1,
    )
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        yield web


def path_of(connection_id: UUID, of: str = "") -> str:
    return f"/v1/connections/{connection_id}{of}"


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    """The problem document of an answer, which must be this one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (body["type"], body["status"]) == (f"urn:moorline:problem:{kind}", status)
    return body


async def tokens_of(web: Web, **more: object) -> dict[str, object]:
    """A body that brings the tokens of a real grant."""
    minted = await web.world.sandbox.mint(web.world.client_id)
    return {
        "user_id": str(web.world.user_id),
        "provider": web.world.slug,
        "credentials": {
            "type": "oauth2",
            "access_token": minted.access_token,
            "refresh_token": minted.refresh_token,
        },
        **more,
    }


def key_of(web: Web, api_key: str) -> dict[str, object]:
    """A body that brings a key."""
    credentials = {"type": "api_key", "api_key": api_key}
    return {"user_id": str(web.world.user_id), "provider": BROKER, "credentials": credentials}


# -- who may call --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_no_route_is_for_strangers(
    web_without_worker: Web, method: str, path: str, body: dict[str, str] | None
) -> None:
    web, world = web_without_worker, web_without_worker.world
    path = path.format(id=uuid4())
    revoked = await new_key(world, Role.APP)
    async with world.database.transaction() as session:
        await api_keys.revoke(session, revoked.reveal().split("_")[1], await now(session))
    good = (await new_key(world, Role.APP)).reveal()
    wrong = [revoked.reveal(), good[:-1], "moorline_abcdefabcdef_x", "mlcanary", "ä"]
    answers = [await web.anyone.request(method, path, json=body)]
    for key in wrong:
        headers = httpx.Headers({"Authorization": f"Bearer {key}"}, encoding="utf-8")
        answers.append(await web.anyone.request(method, path, json=body, headers=headers))
    for answer in answers:
        problem_of(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_a_key_that_may_only_lease_or_measure_sees_no_connection(
    web_without_worker: Web, method: str, path: str, body: dict[str, str] | None
) -> None:
    for caller in (web_without_worker.lease, web_without_worker.metrics):
        answer = await caller.request(method, path.format(id=uuid4()), json=body)
        problem_of(answer, 403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), OF_ONE)
async def test_a_connection_that_there_is_not_is_not_found_by_any_route(
    web_without_worker: Web, method: str, path: str, body: dict[str, str] | None
) -> None:
    connection_id = uuid4()
    path = path.format(id=connection_id)
    answer = await web_without_worker.app.request(method, path, json=body)
    found = problem_of(answer, 404, "not-found")
    assert found["detail"] == f"no connection {connection_id}"


# -- reading -------------------------------------------------------------------------------------


async def test_connections_are_paged_the_newest_first(web: Web) -> None:
    made = [(await web.world.imported()).connection_id for _ in range(3)]
    async with web.world.database.transaction() as session:
        at = await now(session)
    # Two of the same instant: the order is the same all the same.
    await web.world.damage(
        f"UPDATE connections SET created_at = '{at.isoformat()}' WHERE id <> '{made[0]}'"
    )
    whole = (await web.app.get("/v1/connections")).json()
    ids = [item["connection_id"] for item in whole["items"]]
    assert set(ids[:2]) == {str(each) for each in made[1:]}
    assert (ids[2], whole["next_cursor"]) == (str(made[0]), None)
    paged: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await web.app.get("/v1/connections", params=params)).json()
        paged += [item["connection_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == ids


async def test_connections_are_sought_by_user_provider_and_status(web: Web) -> None:
    view = await web.world.imported()
    expected = [str(view.connection_id)]

    async def found(**params: str) -> list[str]:
        page = (await web.app.get("/v1/connections", params=params)).json()
        return [item["connection_id"] for item in page["items"]]

    assert await found(user_id=str(view.user_id)) == expected
    assert await found(provider=view.provider_slug, status="active") == expected
    assert await found(user_id=str(uuid4())) == []
    assert await found(provider="another") == []
    assert await found(status="revoked") == []


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "mlcanary"},
        {"cursor": "ä"},
        {"cursor": "MjAyNi0wMS0wMSAxMjM0"},
        {"cursor": "x" * 201},
        {"limit": "0"},
        {"limit": "201"},
        {"status": "mlcanary"},
        {"user_id": "mlcanary"},
        {"provider": ""},
    ],
    ids=str,
)
async def test_a_search_that_cannot_be_read_is_refused(
    web_without_worker: Web, params: dict[str, str]
) -> None:
    answer = await web_without_worker.app.get("/v1/connections", params=params)
    problem_of(answer, 422, "invalid-input")
    assert CANARY not in answer.text


async def test_a_connection_is_shown_and_explained_without_its_secrets(web: Web) -> None:
    view = await web.world.imported()
    shown = await web.app.get(path_of(view.connection_id))
    assert shown.json() == view.model_dump(mode="json")
    explained = await web.app.get(path_of(view.connection_id, "/explanation"))
    said = await web.world.connections.explain(view.connection_id)
    assert explained.json() == {**said.model_dump(mode="json"), "text": said.text}
    assert CANARY not in shown.text + explained.text


# -- messages ------------------------------------------------------------------------------------


async def test_a_connection_is_renamed(web: Web) -> None:
    view = await web.world.imported()
    renamed = await web.app.patch(path_of(view.connection_id), json={"alias": "savings"})
    assert renamed.json()["alias"] == "savings"
    unnamed = await web.app.patch(path_of(view.connection_id), json={"alias": None})
    assert (unnamed.status_code, unnamed.json()["alias"]) == (200, None)
    for body in ({"alias": "x" * 101}, {"alias": "\0"}, {}, {"alias": 1}):
        refused = await web.app.patch(path_of(view.connection_id), json=body)
        problem_of(refused, 422, "invalid-input")


async def test_a_token_is_refreshed(web: Web) -> None:
    view = await web.world.imported()
    refreshed = await web.app.post(path_of(view.connection_id, "/refresh"))
    assert (refreshed.status_code, refreshed.json()["generation"]) == (200, 2)
    assert len(await web.world.refreshes()) == 1


async def test_data_is_read_when_asked_for(reading: Web) -> None:
    view = await reading.world.imported()

    async def read() -> int:
        sync = (await reading.world.connections.view(view.connection_id)).sync
        return sync.completed if sync else 0

    before = await until(read)
    answer = await reading.app.post(path_of(view.connection_id, "/sync"))
    assert (answer.status_code, answer.json()["connection_id"]) == (202, str(view.connection_id))

    async def again() -> bool:
        return await read() > before

    await until(again)


async def test_a_provider_without_data_is_not_read(web: Web) -> None:
    view = await web.world.imported()
    answer = await web.app.post(path_of(view.connection_id, "/sync"))
    problem_of(answer, 422, "invalid-input")


async def test_after_a_revocation_only_the_user_can_help(web: Web) -> None:
    view = await web.world.imported()
    for _ in range(2):
        revoked = await web.app.post(path_of(view.connection_id, "/revoke"))
        assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    refused = await web.app.post(path_of(view.connection_id, "/refresh"))
    found = problem_of(refused, 409, "needs-user")
    assert (found["connection_status"], found["reason"]) == ("revoked", "user_revoked")


async def test_an_end_is_acknowledged_first_and_told_when_it_is_over(web: Web) -> None:
    view = await web.world.imported()
    fault = await web.world.plant("revoke", "status", status=503, times=None)
    for _ in range(3):
        ending = await web.app.post(path_of(view.connection_id, "/disconnect"))
        assert (ending.status_code, ending.json()["ending"]) == (202, True)
        assert (await web.lease.post(path_of(view.connection_id, "/lease"))).status_code == 409
    assert await signals(web, view.connection_id) == ["disconnect"]
    await web.world.sandbox.clear(fault)
    await web.world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    for _ in range(2):
        over = await web.app.post(path_of(view.connection_id, "/disconnect"))
        assert over.status_code == 200
        assert over.json()["shredded"] is True
        assert {each["result"] for each in over.json()["tokens"]} == {"revoked"}
    problem_of(
        await web.app.patch(path_of(view.connection_id), json={"alias": "x"}), 409, "conflict"
    )


async def signals(web: Web, connection_id: UUID) -> list[str]:
    """What the workflow was told, in order."""
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in await web.world.history(connection_id)
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_a_flood_of_messages_is_stopped_and_an_end_is_let_through(web: Web) -> None:
    view = await web.world.imported()
    other = await web.world.imported()

    async def rename(connection_id: UUID) -> httpx.Response:
        return await web.app.patch(path_of(connection_id), json={"alias": "x"})

    answers = []
    for _ in range(3):  # Temporal lets ten updates wait at once for one workflow
        answers += await asyncio.gather(*(rename(view.connection_id) for _ in range(10)))
    assert len(answers) == 30
    assert {answer.status_code for answer in answers} == {200}
    refused = await rename(view.connection_id)
    problem_of(refused, 429, "too-many-requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    for of in ("/sync", "/refresh"):
        problem_of(await web.app.post(path_of(view.connection_id, of)), 429, "too-many-requests")
    assert (await rename(other.connection_id)).status_code == 200
    assert (await web.app.get(path_of(view.connection_id))).status_code == 200
    revoked = await web.app.post(path_of(view.connection_id, "/revoke"))
    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    ending = await web.app.post(path_of(view.connection_id, "/disconnect"))
    assert ending.status_code in {200, 202}


# -- credentials there are already ---------------------------------------------------------------


async def test_a_connection_is_made_of_tokens_once(web: Web) -> None:
    connection_id, body = uuid4(), await tokens_of(web, alias="old")
    for expected in (201, 200):
        answer = await web.app.put(path_of(connection_id, "/credentials"), json=body)
        assert answer.status_code == expected, answer.text
        shown = answer.json()
        assert (shown["status"], shown["alias"]) == ("active", "old")
        assert CANARY not in answer.text
    await web.app.post(path_of(connection_id, "/disconnect"))
    again = await web.app.put(path_of(connection_id, "/credentials"), json=body)
    problem_of(again, 409, "conflict")
    assert CANARY not in again.text


async def test_an_id_is_one_users_at_one_provider_in_one_way(web: Web) -> None:
    view = await web.world.imported()
    others = await tokens_of(web, user_id=str(uuid4()))
    elsewhere = await tokens_of(web, provider="another")
    key = await tokens_of(web, credentials={"type": "api_key", "api_key": "mlcanary-key"})
    for body in (others, elsewhere, key):
        answer = await web.app.put(path_of(view.connection_id, "/credentials"), json=body)
        problem_of(answer, 409, "conflict")
        assert CANARY not in answer.text


async def test_a_connection_that_waits_for_its_user_takes_no_tokens(web: Web) -> None:
    begun = await web.world.connections.connect(web.world.slug, web.world.user_id)
    answer = await web.app.put(
        path_of(begun.connection_id, "/credentials"), json=await tokens_of(web)
    )
    problem_of(answer, 409, "conflict")


async def test_a_provider_that_nobody_knows_is_refused(web: Web) -> None:
    body = await tokens_of(web, provider="no-such-provider")
    answer = await web.app.put(path_of(uuid4(), "/credentials"), json=body)
    problem_of(answer, 422, "invalid-input")
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "credentials",
    [
        {"type": "mlcanary-type"},
        {"type": "oauth2", "refresh_token": "mlcanary-r"},
        {"type": "oauth2", "access_token": ["mlcanary-a"]},
        {"type": "oauth2", "access_token": "", "refresh_token": "mlcanary-r"},
        {"type": "oauth2", "access_token": "mlcanary-a", "expires_at": "mlcanary-when"},
        {"type": "oauth2", "access_token": "mlcanary-a", "expires_at": "2026-01-01T00:00:00"},
        {"type": "api_key", "api_key": "mlcanary" * 4_000},
        {"type": "api_key", "api_key": {"mlcanary": 1}},
        "mlcanary",
        None,
    ],
    ids=lambda each: str(each)[:60],
)
async def test_what_does_not_fit_is_refused_and_not_repeated(
    web_without_worker: Web, credentials: object
) -> None:
    body = {"user_id": str(uuid4()), "provider": "sandbox", "credentials": credentials}
    answer = await web_without_worker.app.put(path_of(uuid4(), "/credentials"), json=body)
    problem_of(answer, 422, "invalid-input")
    assert CANARY not in answer.text


async def test_a_body_that_is_no_json_is_refused_and_not_repeated(web_without_worker: Web) -> None:
    answer = await web_without_worker.app.put(
        path_of(uuid4(), "/credentials"),
        content=b'{"credentials": "mlcanary',
        headers={"content-type": "application/json"},
    )
    problem_of(answer, 422, "invalid-input")
    assert CANARY not in answer.text


async def test_a_key_makes_a_connection_and_another_takes_its_place(keyed: Web) -> None:
    world, connection_id = keyed.world, uuid4()
    path = path_of(connection_id, "/credentials")
    refused = await keyed.app.put(path, json=key_of(keyed, "mlcanary-key-made-up"))
    problem_of(refused, 409, "conflict")
    assert CANARY not in refused.text
    made = await world.sandbox.new_key()
    answer = await keyed.app.put(path, json=key_of(keyed, made.api_key))
    assert (answer.status_code, answer.json()["status"]) == (201, "active"), answer.text
    again = await keyed.app.put(path, json=key_of(keyed, made.api_key))
    assert (again.status_code, again.json()["generation"]) == (200, 1)
    await world.sandbox.revoke_key(made.key_id)
    await world.becomes(connection_id, ConnectionStatus.EXPIRED)
    another = await world.sandbox.new_key()
    mended = await keyed.app.put(path, json=key_of(keyed, another.api_key))
    assert mended.status_code == 200, mended.text
    assert (mended.json()["status"], mended.json()["generation"]) == ("active", 2)
    assert CANARY not in answer.text + again.text + mended.text


# -- the description -----------------------------------------------------------------------------


async def test_every_route_is_described_with_its_problems(web_without_worker: Web) -> None:
    described = (await web_without_worker.anyone.get("/v1/openapi.json")).json()
    for method, path, _ in ROUTES:
        route = described["paths"][path.replace("{id}", "{connection_id}")][method.lower()]
        assert {"401", "403", "422", "503"} <= set(route["responses"])
        assert ("404" in route["responses"]) == ((method, path) in {each[:2] for each in OF_ONE})
        assert route["security"] == [{"HTTPBearer": []}]
        for status, response in route["responses"].items():
            media = "application/json" if status < "300" else "application/problem+json"
            assert list(response["content"]) == [media]
