"""Temporal's own web UI, in a browser: it shows connections in the clear, by the codec endpoint."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from moorline.stack import TemporalServer
from moorline.stack.ports import free_ports
from tests.browser.conftest import pictured
from tests.web.gateway import CODEC_TOKEN, Web, gateway_of
from tests.world import Servers, new_world
from workflows.names import workflow_id

DESK = {"width": 1280, "height": 900}


@dataclass
class Desk:
    """A web UI, the page it is looked at on, and the world behind it."""

    web: Web
    page: Page
    url: str


@pytest.fixture
async def desk(servers: Servers, tmp_path: Path, chromium: Browser) -> AsyncIterator[Desk]:
    temporal_port, ui_port, gateway_port = free_ports(3)
    ui = f"http://127.0.0.1:{ui_port}"
    codec = f"http://127.0.0.1:{gateway_port}/codec/{CODEC_TOKEN}"
    state = tmp_path / "state"
    async with TemporalServer(
        state, temporal_port, ui_port=ui_port, in_memory=True, codec_endpoint=codec
    ) as temporal:
        here = replace(servers, temporal_address=temporal.address)
        async with (
            new_world(here, tmp_path) as world,
            gateway_of(world, port=gateway_port, ui=ui) as web,
        ):
            context = await chromium.new_context(viewport=DESK)  # type: ignore[arg-type]
            page = await context.new_page()
            page.set_default_timeout(60_000)
            yield Desk(web, page, f"{ui}/namespaces/default/workflows")
            await context.close()


async def test_the_web_ui_shows_what_a_connection_was_told_in_the_clear(desk: Desk) -> None:
    view = await desk.web.world.connected()
    await desk.web.world.connections.rename(view.connection_id, "my hobby")
    await desk.page.goto(f"{desk.url}/{workflow_id(view.connection_id)}")
    shown = desk.page.get_by_text(str(desk.web.world.user_id))
    await expect(shown.first).to_be_visible(timeout=60_000)
    await pictured(desk.page, "temporal-ui")
    await expect(desk.page.get_by_text("mlcanary")).to_have_count(0)


async def test_the_web_ui_shows_in_plain_words_how_a_connection_is(desk: Desk) -> None:
    view = await desk.web.world.connected()
    await desk.page.goto(f"{desk.url}/{workflow_id(view.connection_id)}")
    await desk.page.get_by_text("User Metadata").click()
    words = desk.page.frame_locator("iframe").get_by_text("ACTIVE since")
    await expect(words.first).to_be_visible(timeout=60_000)
    await pictured(desk.page, "temporal-ui-active")


async def test_all_connections_of_a_status_are_a_query_in_the_web_ui(desk: Desk) -> None:
    world = desk.web.world
    active, over = await world.connected(), await world.connected()
    await world.connections.revoke(over.connection_id)
    query = f"ConnectionStatus%3D%22revoked%22%20AND%20ProviderSlug%3D%22{world.slug}%22"
    await desk.page.goto(f"{desk.url}?query={query}")
    await expect(desk.page.get_by_text(workflow_id(over.connection_id)).first).to_be_visible(
        timeout=60_000
    )
    await expect(desk.page.get_by_text(workflow_id(active.connection_id))).to_have_count(0)
    await pictured(desk.page, "temporal-ui-query")
