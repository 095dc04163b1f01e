"""An application that embeds Moorline through the gateway's REST API, and through nothing else.

One user connects, comes back to the application and is confirmed; their access token is used, the
grant is taken back, and the connection is ended. It has what any application needs: an API key, a
page that users come back to, and HTTP. Nothing of Moorline is imported, so any language would do.
"""

import asyncio
import os
import socket
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "8500"))
MOORLINE = os.environ.get("MOORLINE_URL", "http://127.0.0.1:8300")
PROVIDER = os.environ.get("PROVIDER", "sandbox")
PROVIDER_API = os.environ.get("PROVIDER_API", "http://127.0.0.1:8900/api")
RETURN_URL = f"http://{HOST}:{PORT}/back"


@dataclass
class Application:
    """Its only user, as whom everyone is signed in here; an application of yours has a login."""

    moorline: httpx.AsyncClient
    user_id: str = field(default_factory=lambda: str(uuid4()))
    came_back: asyncio.Event = field(default_factory=asyncio.Event)

    async def back(self, request: Request) -> PlainTextResponse:
        """The user is back: say who they are. Nothing is exchanged before that."""
        query = request.query_params
        if "proof" not in query:  # they declined, or it came to nothing
            self.came_back.set()
            return PlainTextResponse("You are not connected.")
        answer = await self.moorline.post(
            f"/v1/connect-sessions/{query['session']}/complete",
            json={"user_id": self.user_id, "proof": query["proof"]},
        )
        if answer.is_error:
            return PlainTextResponse(answer.json()["detail"], 400)
        self.came_back.set()
        return PlainTextResponse("You are connected. You may close this page.")

    async def run(self) -> None:
        """The whole life of a connection."""
        begun = await self.ask(
            "POST",
            "/v1/connections",
            {"provider": PROVIDER, "user_id": self.user_id, "return_url": RETURN_URL},
        )
        path = f"/v1/connections/{begun['connection']['connection_id']}"
        print("open", begun["connect"]["url"])
        await self.came_back.wait()

        while (view := await self.ask("GET", path))["status"] == "pending":
            await asyncio.sleep(1)
        print("status", view["status"])
        if view["status"] != "active":
            return

        lease = await self.ask("POST", f"{path}/lease", {"min_ttl_s": 60})
        async with httpx.AsyncClient(trust_env=False) as provider:
            headers = {"Authorization": f"Bearer {lease['access_token']}"}
            me = await provider.get(f"{PROVIDER_API}/me", headers=headers)
            print("the provider says", me.raise_for_status().json()["user"])

        view = await self.ask("POST", f"{path}/revoke")
        print("status", view["status"])
        # 202 while tokens are revoked at the provider, then 200 with the receipt.
        while "tokens" not in (receipt := await self.ask("POST", f"{path}/disconnect")):
            await asyncio.sleep(1)
        for token in receipt["tokens"]:
            print("receipt", token["token"], token["result"])
        print("receipt", "secrets destroyed" if receipt["shredded"] else "secrets kept")

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the gateway; a refusal says why as a problem document."""
        answer = await self.moorline.request(method, path, json=body)
        if answer.is_error:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())


async def main() -> None:
    """Serve the page that users come back to for as long as the rest goes on."""
    headers = {"Authorization": f"Bearer {os.environ['MOORLINE_API_KEY']}"}
    async with httpx.AsyncClient(
        base_url=MOORLINE, headers=headers, timeout=60, trust_env=False
    ) as moorline:
        application = Application(moorline)
        pages = Starlette(routes=[Route("/back", application.back)])
        server = uvicorn.Server(uvicorn.Config(pages, log_level="warning"))
        with socket.create_server((HOST, PORT)) as listening:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await application.run()
            server.should_exit = True
            await serving


if __name__ == "__main__":
    asyncio.run(main())
