"""What a user does, in a real browser without JavaScript, on a phone."""

from pathlib import Path

from playwright.async_api import Browser, Page, Route, expect

from domain.status import ConnectionStatus
from moorline.stack.ports import free_ports
from storage import connect_sessions
from storage.database import now
from tests.browser.conftest import pictured
from tests.browser.tls import ending_tls
from tests.web.gateway import RETURN_URL, Web, gateway_of
from tests.web.people import begin
from tests.world import BROKER, Servers, World, new_world, register, write_broker


async def log_in(page: Page) -> None:
    await page.get_by_label("Name").fill("alice")
    await page.get_by_label("Password").fill("sandbox")
    await page.get_by_role("button", name="Log in").click()


async def on_to_the_provider(page: Page, link: str) -> None:
    await page.goto(link)
    await page.get_by_role("button", name="Continue").click()
    await log_in(page)


async def test_a_user_connects_by_login_and_consent(web: Web, phone: Page) -> None:
    connection_id, link, session_id = await begin(web)
    await phone.goto(link)
    await pictured(phone, "connect-ask")
    await phone.get_by_role("button", name="Continue to Sandbox").click()
    await log_in(phone)
    await phone.get_by_role("button", name="Allow").click()
    await expect(phone.get_by_role("heading")).to_have_text("Sandbox is connected")
    await pictured(phone, "connect-done")
    assert phone.url == f"{web.options.public_url}/connected/{session_id}"
    cookies = {each.get("name"): each for each in await phone.context.cookies()}
    assert cookies[f"moorline-{session_id.hex}"].get("httpOnly")
    view = await web.world.connections.view(connection_id)
    assert view.status is ConnectionStatus.ACTIVE


async def test_a_user_denies(web: Web, phone: Page) -> None:
    connection_id, link, _ = await begin(web)
    await on_to_the_provider(phone, link)
    await phone.get_by_role("button", name="Deny").click()
    await expect(phone.get_by_role("heading")).to_have_text("Sandbox is not connected")
    await expect(phone.get_by_text("declined")).to_be_visible()
    await pictured(phone, "connect-denied")
    await web.world.becomes(connection_id, ConnectionStatus.FAILED)


async def test_a_user_gives_a_key(servers: Servers, tmp_path: Path, phone: Page) -> None:
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        _, link, _ = await begin(web, provider=BROKER)
        await phone.goto(link)
        await phone.get_by_role("button", name="Continue").click()
        await phone.get_by_label("API key").fill("not-a-key-of-theirs")
        await phone.get_by_role("button", name="Connect").click()
        await expect(phone.get_by_role("alert")).to_be_visible()
        await pictured(phone, "connect-key")
        await phone.get_by_label("API key").fill((await world.sandbox.new_key()).api_key)
        await phone.get_by_role("button", name="Connect").click()
        await expect(phone.get_by_role("heading")).to_have_text("Broker is connected")


async def test_a_browser_brings_the_application_its_proof_after_a_key(
    servers: Servers, tmp_path: Path, phone: Page
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        _, link, _ = await begin(web, provider=BROKER, return_url=RETURN_URL)

        async def application(route: Route) -> None:
            await route.fulfill(body="back")

        await phone.route(f"{RETURN_URL}**", application)
        await phone.goto(link)
        await phone.get_by_role("button", name="Continue").click()
        await phone.get_by_label("API key").fill((await world.sandbox.new_key()).api_key)
        await phone.get_by_role("button", name="Connect").click()
        await expect(phone.get_by_text("back", exact=True)).to_be_visible()
        assert "proof=" in phone.url


async def test_an_expired_link_says_so(web: Web, phone: Page) -> None:
    _, link, session_id = await begin(web)
    async with web.world.database.transaction() as session:
        row = await connect_sessions.get(session, session_id)
        row.expires_at = await now(session)
    answer = await phone.goto(link)
    assert answer is not None
    assert answer.status == 404
    await expect(phone.get_by_role("heading")).to_have_text("Nothing to connect here")
    await pictured(phone, "connect-over")


async def test_a_user_reconnects_and_comes_back_to_the_application(web: Web, phone: Page) -> None:
    view = await web.world.connected()
    await web.world.connections.revoke(view.connection_id)
    path = f"/v1/connections/{view.connection_id}/reauthorize"
    link = (await web.app.post(path, json={"return_url": RETURN_URL})).json()
    returns: list[str] = []

    async def application(route: Route) -> None:
        returns.append(route.request.url)
        await route.fulfill(body="back")

    await phone.route(f"{RETURN_URL}**", application)
    await on_to_the_provider(phone, link["url"])
    await phone.get_by_role("button", name="Allow").click()
    await expect(phone.get_by_text("back")).to_be_visible()
    proof = returns[0].partition("proof=")[2]
    confirmed = {"user_id": str(view.user_id), "proof": proof}
    path = f"/v1/connect-sessions/{link['session_id']}/complete"
    assert (await web.app.post(path, json=confirmed)).json()["status"] == "active"


async def test_another_browser_is_turned_away(web: Web, phone: Page, chromium: Browser) -> None:
    _, link, _ = await begin(web)
    await on_to_the_provider(phone, link)
    other = await chromium.new_page()
    await other.goto(link)
    await other.get_by_role("button", name="Continue").click()
    await expect(other.get_by_text("another browser")).to_be_visible()
    await other.close()


async def test_behind_https_the_cookie_is_bound_to_this_very_host(
    world: World, chromium: Browser
) -> None:
    behind, before = free_ports(2)
    public_url = f"https://127.0.0.1:{before}"
    await register(world.servers.sandbox, world.slug, f"{public_url}/callback/{world.slug}")
    async with (
        ending_tls(before, behind),
        gateway_of(world, port=behind, public_url=public_url) as web,
    ):
        _, link, session_id = await begin(web)
        context = await chromium.new_context(ignore_https_errors=True, java_script_enabled=False)
        page = await context.new_page()
        await on_to_the_provider(page, link)
        await page.get_by_role("button", name="Allow").click()
        await expect(page.get_by_role("heading")).to_have_text("Sandbox is connected")
        assert page.url == f"{public_url}/connected/{session_id}"
        (cookie,) = [
            each for each in await context.cookies() if "moorline" in str(each.get("name"))
        ]
        assert cookie.get("name") == f"__Host-moorline-{session_id.hex}"
        assert cookie.get("secure")
        assert cookie.get("httpOnly")
        assert cookie.get("path") == "/"
        await context.close()
