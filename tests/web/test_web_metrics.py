"""Figures for Prometheus: as it reads them, of what was asked and of how connections fare."""

import asyncio
from collections.abc import Mapping
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import WorkflowUpdateStage

from domain.outcomes import Outcome
from storage import provider_apps
from storage.database import now
from tests.web.gateway import Web, gateway_of
from tests.world import WITHIN, World, until
from workflows.names import workflow_id

REQUESTS = "moorline_http_requests_total"
Figures = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def figures(client: httpx.AsyncClient) -> Figures:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def named(found: Figures, name: str) -> dict[frozenset[tuple[str, str]], float]:
    return {labels: value for (each, labels), value in found.items() if each == name}


def figure(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0)


async def test_one_active_connection_is_counted(web: Web) -> None:
    view = await web.world.connected()
    found = await figures(web.metrics)
    labels = frozenset({("provider", view.provider_slug), ("status", "active")})
    assert {key: n for key, n in named(found, "moorline_connections").items() if n} == {labels: 1}
    assert named(found, "moorline_connections_degraded") == {}
    assert named(found, "moorline_provider_app_misconfigured") == {}
    assert figure(found, "moorline_refresh_overdue_seconds") == 0


async def test_a_degraded_connection_is_counted_by_its_cause(web: Web) -> None:
    view = await web.world.connected()
    await web.world.plant("token", "status", status=503, times=None)
    await web.world.temporal.get_workflow_handle(workflow_id(view.connection_id)).start_update(
        "ensure_fresh",
        {"seen_generation": 1, "force": True},
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
    )

    async def fact() -> dict[frozenset[tuple[str, str]], float]:
        return named(await figures(web.metrics), "moorline_connections_degraded")

    (labels,) = await until(fact)
    assert dict(labels)["cause"] in list(Outcome)


async def test_a_refresh_that_nobody_makes_is_said_to_be_overdue(living: World) -> None:
    await living.connected()
    async with gateway_of(living, working=False) as web:
        await living.damage("UPDATE credentials SET refresh_at = now() - interval '2 hours'")
        found = await figures(web.metrics)
        assert 7200 <= figure(found, "moorline_refresh_overdue_seconds") < 7200 + 600
        await living.damage("UPDATE connections SET degraded_since = now()")
        found = await figures(web.metrics)
        assert figure(found, "moorline_refresh_overdue_seconds") == 0


async def test_a_registration_that_a_provider_refuses_is_named(web_without_worker: Web) -> None:
    web = web_without_worker
    async with web.world.database.transaction() as session:
        await provider_apps.misconfigured(session, "bank", "invalid_client", await now(session))
    found = await figures(web.metrics)
    assert figure(found, "moorline_provider_app_misconfigured", provider="bank") == 1


async def test_requests_are_counted_by_route_method_and_status(web_without_worker: Web) -> None:
    web, route = web_without_worker, "/v1/connections/{connection_id}/accounts"
    for _ in range(2):
        await web.app.get(f"/v1/connections/{uuid4()}/accounts")
    await web.anyone.get(f"/v1/connections/{uuid4()}/accounts")
    found = await figures(web.metrics)
    assert figure(found, REQUESTS, route=route, method="GET", status="404") == 2
    assert figure(found, REQUESTS, route=route, method="GET", status="401") == 1
    duration = "moorline_http_request_duration_seconds"
    assert figure(found, f"{duration}_count", route=route, method="GET") == 3
    assert figure(found, f"{duration}_sum", route=route, method="GET") > 0


async def test_what_callers_make_up_becomes_no_label(web_without_worker: Web) -> None:
    web = web_without_worker
    await web.anyone.get(f"/{uuid4()}")
    await web.anyone.request("INVENTED", f"/{uuid4()}")
    await web.anyone.get("/healthz", headers={"Host": "elsewhere.example"})
    found = await figures(web.metrics)
    assert figure(found, REQUESTS, route="other", method="GET", status="404") == 1
    assert figure(found, REQUESTS, route="other", method="other", status="404") == 1
    assert figure(found, REQUESTS, route="other", method="GET", status="400") == 1


async def test_an_answer_that_fails_is_counted_as_such(web: Web) -> None:
    view = await web.world.connected()
    await web.world.damage("ALTER TABLE accounts RENAME TO elsewhere")
    answer = await web.app.get(f"/v1/connections/{view.connection_id}/accounts")
    assert answer.status_code == 500
    route = "/v1/connections/{connection_id}/accounts"
    found = await figures(web.metrics)
    assert figure(found, REQUESTS, route=route, method="GET", status="500") == 1


async def test_a_stream_is_not_held_back_and_is_counted_as_it_begins(
    web_without_worker: Web,
) -> None:
    web = web_without_worker
    async with web.app.stream("GET", "/v1/events/stream") as answer:
        async with asyncio.timeout(WITHIN.total_seconds()):
            assert await anext(answer.aiter_bytes())
        found = await figures(web.metrics)
    labels = {"route": "/v1/events/stream", "method": "GET", "status": "200"}
    assert figure(found, REQUESTS, **labels) == 1


async def test_two_gateways_count_apart(world: World) -> None:
    async with gateway_of(world) as one, gateway_of(world, working=False) as other:
        await one.anyone.get("/healthz")
        labels = {"route": "/healthz", "method": "GET", "status": "200"}
        assert figure(await figures(one.metrics), REQUESTS, **labels) == 1
        assert figure(await figures(other.metrics), REQUESTS, **labels) == 0


async def test_figures_are_for_keys_of_metrics_and_of_operators(web_without_worker: Web) -> None:
    web = web_without_worker
    for client, status in (
        (web.anyone, 401),
        (web.lease, 403),
        (web.app, 403),
        (web.metrics, 200),
        (web.admin, 200),
    ):
        assert (await client.get("/metrics")).status_code == status
