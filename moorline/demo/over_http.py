"""The step that knows nothing of us but HTTP: an application's backend, and its user's browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx

from domain.roles import Role
from moorline.demo.judging import accepts, calls, check, until
from moorline.demo.people import visit
from moorline.demo.stage import Stage
from storage import api_keys
from storage.database import now

SLUG = "demo-pages"


async def live_over_http(stage: Stage) -> str:
    """Connected on the gateway's own pages, leased, and disconnected, with an API key."""
    async with _application(stage) as application:
        asked = {"provider": SLUG, "user_id": str(stage.user_id)}
        begun = (await application.post("/v1/connections", json=asked)).raise_for_status().json()
        path = f"/v1/connections/{begun['connection']['connection_id']}"
        text = await visit(begun["connect"]["url"])
        check("is connected" in text, "the last page does not say that it is connected")
        codes = [entry for entry in await calls(stage, SLUG) if entry.presented == "code"]
        check(len(codes) == 1, f"the provider saw {len(codes)} exchanges of the code")
        lease = (await application.post(f"{path}/lease", json={})).raise_for_status().json()
        check(await accepts(stage, lease["access_token"]), "a leased token was refused")
        (await application.post(f"{path}/disconnect")).raise_for_status()
        refused = await application.post(f"{path}/lease", json={})
        check(refused.status_code == HTTPStatus.CONFLICT, "a token was still handed out")

        async def receipt() -> bool:
            ended = await application.post(f"{path}/disconnect")
            return ended.status_code == HTTPStatus.OK and ended.json()["shredded"]

        await until(receipt, "there is no receipt")
    return "a link, our pages, the provider's login; leased and ended with an API key"


@asynccontextmanager
async def _application(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """An application's backend: it has an API key, and the gateway's address."""
    database = stage.parts.database
    async with database.transaction() as session:
        _, key = api_keys.create(session, Role.APP, "the demo's application", await now(session))
    async with httpx.AsyncClient(
        base_url=stage.development.stack.gateway_url,
        headers={"Authorization": f"Bearer {key.reveal()}"},
        trust_env=False,
        timeout=30,
    ) as client:
        yield client
