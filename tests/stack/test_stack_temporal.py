"""The embedded Temporal dev server, used alone as the test-suite does."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from moorline.stack import StackFacts, TemporalServer
from moorline.stack.ports import free_ports

STATUS = SearchAttributeKey.for_keyword("ConnectionStatus")
ATTRIBUTES = TypedSearchAttributes([SearchAttributePair(STATUS, "ACTIVE")])


async def test_it_serves_with_every_search_attribute_and_says_its_versions(tmp_path: Path) -> None:
    async with TemporalServer(tmp_path, free_ports(1)[0], in_memory=True) as server:
        client = await Client.connect(server.address)
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        assert set(StackFacts.read().temporal.search_attributes) <= set(answer.custom_attributes)
        assert server.versions.keys() == {"cli", "temporal", "ui"}
        assert server.versions["temporal"].startswith("1.")
        assert "action" in (await get(server.metrics_url)).text
    assert not any(name.startswith("temporal.db") for name in os.listdir(tmp_path))


async def test_an_attribute_that_was_added_to_the_file_since_is_registered(tmp_path: Path) -> None:
    facts = StackFacts.read()
    older = facts.temporal.model_copy(update={"search_attributes": {"UserId": "Keyword"}})
    port = free_ports(1)[0]
    async with TemporalServer(tmp_path, port, facts=facts.model_copy(update={"temporal": older})):
        pass
    async with TemporalServer(tmp_path, port, facts=facts) as server:
        client = await Client.connect(server.address)
        await client.start_workflow(
            "AnyWorkflow", id="one", task_queue="moorline", search_attributes=ATTRIBUTES
        )
        async with asyncio.timeout(10):
            while not (await client.count_workflows("ConnectionStatus = 'ACTIVE'")).count:
                pass


async def test_the_web_ui_is_told_where_to_decode(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    codec = "http://127.0.0.1:8300"
    async with TemporalServer(
        tmp_path, port, ui_port=ui_port, in_memory=True, codec_endpoint=codec
    ) as server:
        settings = (await get(f"http://127.0.0.1:{ui_port}/api/v1/settings")).json()
        assert settings["Codec"]["Endpoint"] == codec
        assert settings["DisableNewsFetch"] is True
        assert settings["Version"] == server.versions["ui"]


async def test_the_users_own_temporal_variables_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ENV", "production")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "example.invalid:7233")
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with TemporalServer(tmp_path, free_ports(1)[0], in_memory=True) as server:
        assert (await Client.connect(server.address)).namespace == "default"


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).raise_for_status()
