"""A gateway beside one test's world: the real application, over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from domain.roles import Role
from domain.secret import Secret
from gateway.app import create_app
from gateway.operators import IdentityProvider
from gateway.options import Options
from moorline.listening import listen, serving
from moorline.stack.ports import free_ports
from storage import api_keys
from storage.database import now
from tests.world import World

RETURN_URL = "http://127.0.0.1:9/back"
UI = "http://127.0.0.1:8233"
CODEC_TOKEN = "a-token-of-a-test"


@dataclass
class Web:
    """A gateway, and callers of each role."""

    world: World
    options: Options
    anyone: httpx.AsyncClient
    admin: httpx.AsyncClient
    app: httpx.AsyncClient
    lease: httpx.AsyncClient
    metrics: httpx.AsyncClient


async def new_key(world: World, role: Role) -> Secret:
    async with world.database.transaction() as session:
        _, key = api_keys.create(session, role, f"a test's {role}", await now(session))
    return key


@asynccontextmanager
async def gateway_of(
    world: World,
    *,
    working: bool = True,
    port: int | None = None,
    public_url: str | None = None,
    ui: str = UI,
    return_url: str = RETURN_URL,
    identity_provider: IdentityProvider | None = None,
) -> AsyncIterator[Web]:
    """The gateway of a world, on a free port; with a worker that knows where it is.

    ``public_url``: where browsers find it, if something stands before it.
    """
    port = port or free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    options = Options(
        public_url=public_url or address,
        application="A Test",
        return_urls=frozenset({return_url}),
        ui_origins=frozenset({ui}),
        codec_token=Secret(CODEC_TOKEN),
        identity_provider=identity_provider,
    )
    app = create_app(world.connections, world.codec, world.database, options)
    world.resources = replace(world.resources, public_url=options.public_url)
    async with AsyncExitStack() as stack:
        if working:
            await stack.enter_async_context(world.working())
        await stack.enter_async_context(serving(app, listen("127.0.0.1", port)))
        clients = []
        for role in (None, *Role):
            headers = {}
            if role is not None:
                key = await new_key(world, role)
                headers["Authorization"] = f"Bearer {key.reveal()}"
            client = httpx.AsyncClient(
                base_url=address, headers=headers, trust_env=False, timeout=60
            )
            clients.append(await stack.enter_async_context(client))
        yield Web(world, options, *clients)
