"""The page a login comes back to: hands each answer to who waits for it, and shows none of it."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from client.connections import Connecting
from domain.errors import NotConfigured
from moorline.listening import PortTaken
from moorline.loopback import Loopback
from tests.cli.terminal import get, redirect_uri
from tests.world import World

pytestmark = pytest.mark.usefixtures("busy")


@pytest.fixture
async def loopback(world: World, port: int) -> AsyncIterator[Loopback]:
    async with Loopback.listening(world.connections, redirect_uri(port)) as listening:
        yield listening


async def begun(world: World) -> Connecting:
    return await world.connections.connect(world.slug, world.user_id)


def assert_private(page: httpx.Response) -> None:
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "server" not in page.headers


async def test_the_start_page_sends_the_browser_to_the_provider(
    world: World, loopback: Loopback
) -> None:
    connecting = await begun(world)
    page = await get(connecting.url)
    assert page.status_code == 302
    assert page.headers["location"] == await world.connections.provider_url(connecting.attempt_id)
    assert_private(page)


async def test_several_logins_come_back_at_once_each_to_who_waits_for_it(
    world: World, loopback: Loopback
) -> None:
    started = [await begun(world) for _ in range(3)]
    waiting = [asyncio.create_task(loopback.received(one.connection_id)) for one in started]
    backs = [await world.consent(one) for one in reversed(started)]
    pages = await asyncio.gather(*(get(back) for back in backs))
    assert {page.status_code for page in pages} == {200}
    for one, wait in zip(started, waiting, strict=True):
        assert (await wait).attempt_id == one.attempt_id


async def test_an_answer_that_comes_before_anybody_waits_is_kept(
    world: World, loopback: Loopback
) -> None:
    connecting = await begun(world)
    page = await get(await world.consent(connecting))
    assert_private(page)
    assert "You can close this window" in page.text
    received = await loopback.received(connecting.connection_id)
    assert (await world.connections.authorize(received)).status == "active"


async def test_what_is_not_awaited_gets_an_error_page_and_disturbs_nobody(
    world: World, loopback: Loopback, port: int
) -> None:
    connecting = await begun(world)
    back = await world.consent(connecting)
    address = redirect_uri(port)
    strangers = [
        address,
        f"{address}?state=unknown&code=mlcanary-code",
        f"{address}?state=a&state=b&code=c",
        back.replace("iss=", "iss=http://evil.example/&iss2="),
        f"{address}?error=<script>mlcanary</script>&state=x",
        f"{address}?{'x' * 9000}",
    ]
    for stranger in strangers:
        page = await get(stranger)
        assert page.status_code == 400, stranger
        assert "mlcanary" not in page.text
        assert_private(page)
    assert (await get(back)).status_code == 200
    assert (await get(back)).status_code == 400  # a second time
    received = await loopback.received(connecting.connection_id)
    assert received.connection_id == connecting.connection_id


async def test_a_preview_of_the_address_does_not_use_the_answer_up(
    world: World, loopback: Loopback
) -> None:
    back = await world.consent(await begun(world))
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.head(back)).status_code == 400
    assert (await get(back)).status_code == 200


async def test_another_name_for_this_machine_is_turned_away(
    world: World, loopback: Loopback, port: int
) -> None:
    connecting = await begun(world)
    back = await world.consent(connecting)
    for host in ("evil.example", f"evil.example:{port}", f"localhost:{port}", "127.0.0.1"):
        assert (await get(back, host=host)).status_code == 400
        assert (await get(connecting.url, host=host)).status_code == 400
    assert (await get(back)).status_code == 200


async def test_an_attempt_that_is_unknown_or_over_has_no_start_page(
    world: World, loopback: Loopback, port: int
) -> None:
    connecting = await begun(world)
    await get(await world.consent(connecting))
    nowhere = connecting.url.replace(str(connecting.attempt_id), str(world.user_id))
    for url in (connecting.url, nowhere):
        page = await get(url)
        assert page.status_code == 404
        assert_private(page)


async def test_while_the_database_is_away_the_page_says_so(
    world: World, loopback: Loopback
) -> None:
    connecting = await begun(world)
    back = await world.consent(connecting)
    async with world.without_database():
        assert (await get(back)).status_code == 503
        assert (await get(connecting.url)).status_code == 503
    assert (await get(back)).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1:8400/callback",
        "http://192.0.2.1:8400/callback",
        "http://example.org/callback",
        "http://127.0.0.1:8400/callback?x=1",
        "http://127.0.0.1:nowhere/callback",
        "http://user@127.0.0.1:8400/callback",
        "callback",
    ],
)
async def test_only_loopback_is_listened_on(world: World, address: str) -> None:
    with pytest.raises(NotConfigured, match="MOORLINE_REDIRECT_URI"):
        async with Loopback.listening(world.connections, address):
            pass


async def test_a_taken_port_is_told(world: World, loopback: Loopback, port: int) -> None:
    with pytest.raises(PortTaken, match=f"port {port}"):
        async with Loopback.listening(world.connections, redirect_uri(port)):
            pass


async def test_both_spellings_of_localhost_are_listened_on(world: World, port: int) -> None:
    hosts = ["127.0.0.1", "[::1]"] if has_ipv6() else ["127.0.0.1"]
    async with Loopback.listening(world.connections, f"http://localhost:{port}/callback"):
        for host in hosts:
            page = await get(f"http://{host}:{port}/callback", host=f"localhost:{port}")
            assert "This page was not expected" in page.text


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True
