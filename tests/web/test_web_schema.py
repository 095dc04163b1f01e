"""The API against its own OpenAPI document: whatever is sent, it answers as it says."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from tests.web.gateway import Web

ENDLESS = "/v1/events/stream"
SHOTS = 12
MEANT = checks.positive_data_acceptance
"""That all that fits is accepted: a document cannot say which providers and addresses are known."""


async def test_whatever_is_sent_the_api_answers_as_its_document_says(web: Web) -> None:
    """No 5xx, no answer that is not described, no route that takes what it should refuse."""
    view = await web.world.connected()
    document = (await web.anyone.get("/v1/openapi.json")).json()
    await asyncio.to_thread(
        exercise, document, web.options.public_url, web.app.headers["authorization"]
    )
    assert (await web.world.connections.view(view.connection_id)).generation == view.generation


def exercise(document: dict[str, object], url: str, authorization: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path in {ENDLESS, "/metrics"}:
            continue

        @settings(
            max_examples=SHOTS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            case.call_and_validate(
                headers={"Authorization": authorization}, excluded_checks=[MEANT]
            )

        check()


async def test_every_route_refuses_who_has_no_key(web_without_worker: Web) -> None:
    web = web_without_worker
    document = (await web.anyone.get("/v1/openapi.json")).json()
    nobody = "00000000-0000-4000-8000-000000000000"
    refused = 0
    for path, methods in document["paths"].items():
        if path in {"/healthz", "/readyz"}:
            continue
        for method in methods:
            address = path.replace("{connection_id}", nobody).replace("{session_id}", nobody)
            for headers in ({}, {"Authorization": "Bearer moorline_x_y"}):
                answer = await web.anyone.request(method, address, json={}, headers=headers)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                refused += 1
    assert refused >= 40


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-length": str(1 << 30)}, 413), ({"transfer-encoding": "chunked"}, 411)],
)
async def test_a_long_body_is_refused_before_it_is_read(
    web_without_worker: Web, headers: dict[str, str], status: int
) -> None:
    url = httpx.URL(web_without_worker.options.public_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /v1/connections HTTP/1.1\r\nHost: {url.host}\r\n{head}\r\n".encode())
    line = await reader.readline()
    assert f" {status} ".encode() in line
    writer.close()


def named(part: Any, schemas: dict[str, Any]) -> Iterator[str]:
    """The fields of a part of the document, and of all it refers to."""
    if isinstance(part, list):
        for each in part:
            yield from named(each, schemas)
    elif isinstance(part, dict):
        yield from part.get("properties", {})
        for each in part.values():
            yield from named(each, schemas)
        if "$ref" in part:
            yield from named(schemas[part["$ref"].rpartition("/")[2]], schemas)


async def test_a_caller_can_name_no_address_that_we_would_call(web_without_worker: Web) -> None:
    """No request has a field for an address but the one that browsers are sent back to.

    Which providers there are, and where, is the operator's configuration.
    """
    document = (await web_without_worker.anyone.get("/v1/openapi.json")).json()
    bodies = [
        operation["requestBody"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    fields = set(named(bodies, document["components"]["schemas"]))
    addresses = {
        name
        for name in fields
        if any(part in name for part in ("url", "uri", "host", "endpoint", "address", "issuer"))
    }
    assert {"provider", "user_id", "api_key"} <= fields
    assert addresses == {"return_url"}
