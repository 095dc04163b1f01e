"""A sandbox on a real port for all HTTP tests, and an app at it for each test.

Apps are separate, so faults and behaviour of one test never reach another.
"""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import JsonValue

from providers.sandbox import create_app
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Minted, Remote
from providers.sandbox.serving import serve


@dataclass
class App:
    """A naive OAuth client: it sends what it is told to and judges nothing."""

    sandbox: Remote
    http: httpx.AsyncClient
    client_id: str
    secret: str
    redirect_uri: str = "http://127.0.0.1:5151/callback"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def basic(self) -> httpx.BasicAuth:
        return httpx.BasicAuth(self.client_id, self.secret)

    def authorize_url(self, **changes: str | None) -> str:
        """An authorization URL; a change to None leaves the parameter out."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        usual = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "profile files",
            "state": "a state & more",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        asked = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        return f"{self.sandbox.base_url}/authorize?{urlencode(asked)}"

    async def code(self, **changes: str | None) -> str:
        """A code, alice having allowed the app."""
        return answer_of(await self.sandbox.authorize(self.authorize_url(**changes)))["code"]

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        usual = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await self.post("/token", {**usual, **changes})

    async def refresh(self, refresh_token: str | None, **more: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token or "", **more}
        return await self.post("/token", form)

    async def revoke(self, token: str | None) -> httpx.Response:
        return await self.post("/revoke", {"token": token or ""})

    async def post(self, path: str, form: dict[str, str]) -> httpx.Response:
        return await self.http.post(path, data=form, auth=self.basic)

    async def me(self, access_token: str) -> httpx.Response:
        return await self.http.get("/api/me", headers={"Authorization": f"Bearer {access_token}"})

    async def mint(self, scope: str = "profile files") -> Minted:
        return await self.sandbox.mint(self.client_id, scope=scope)

    async def behave(self, **fields: str | float | bool | None) -> None:
        await self.sandbox.behave(self.client_id, **fields)

    async def plant(self, kind: str, **fields: JsonValue) -> str:
        """A fault at the token endpoint for this app only."""
        return await self.sandbox.plant("token", kind, client_id=self.client_id, **fields)


def answer_of(location: str) -> dict[str, str]:
    """The parameters that a redirect carries back."""
    query = parse_qs(urlsplit(location).query, strict_parsing=True)
    return {name: value for name, (value,) in query.items()}


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[Remote]:
    async with serve(create_app(None)) as base_url, Remote.connect(base_url) as remote:
        yield remote


@pytest.fixture
async def app(sandbox: Remote) -> AsyncIterator[App]:
    client_id, secret = f"app-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    redirects = ["http://127.0.0.1/callback", "https://app.example/back?tenant=7"]
    await sandbox.register(client_id, Registration(secret=secret, redirect_uris=redirects))
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as http:
        yield App(sandbox, http, client_id, secret)
