"""OAuth servers that the same tests are run against: our sandbox, and one that is not ours."""

import asyncio
import html
import json
import re
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

import httpx

from providers.entry import OAuth2Entry
from providers.sandbox import create_app
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Remote
from providers.sandbox.serving import serve

REDIRECT_URI = "http://127.0.0.1:8400/callback"
SECRET = "mlcanary a:secret/%2B+&=\u00e9"
"""With everything that has to be encoded before it is sent."""
PROGRAM = Path(__file__).parent / "toolkit_server.py"


class Again(Enum):
    """What a server does with the refresh token that it rotated out last."""

    REFUSED = "refused, and its successor with it"
    NEW_PAIR = "honoured for a while, with new tokens each time"
    SAME_PAIR = "honoured for a while, with the tokens it was exchanged for"


class Counterpart(Protocol):
    """A server, our app at it, and a person who can be asked for consent there."""

    entry: OAuth2Entry
    again: Again

    async def decide(self, url: str, *, allow: bool) -> str:
        """What a person does in the browser; where it is sent back to."""
        ...


def entry_of(slug: str, authorize: str, token: str, revoke: str) -> OAuth2Entry:
    return OAuth2Entry.model_validate(
        {
            "slug": slug,
            "name": slug,
            "type": "oauth2",
            "authorize_url": authorize,
            "token_url": token,
            "revoke_url": revoke,
            "client_id": f"app:{slug} of a test",
            "client_secret": SECRET,
            "scopes": ["profile"],
        }
    )


@dataclass
class Sandbox:
    """Our own."""

    entry: OAuth2Entry
    again: Again
    remote: Remote

    async def decide(self, url: str, *, allow: bool) -> str:
        return await self.remote.authorize(url, decision="allow" if allow else "deny")


@asynccontextmanager
async def sandbox(again: Again) -> AsyncIterator[Counterpart]:
    async with serve(create_app(None)) as url, Remote.connect(url) as remote:
        entry = entry_of("sandbox", f"{url}/authorize", f"{url}/token", f"{url}/revoke")
        registration = Registration.model_validate(
            {
                "secret": SECRET,
                "redirect_uris": [REDIRECT_URI],
                "behaviour": {"rotation": "strict" if again is Again.REFUSED else "grace"},
            }
        )
        await remote.register(entry.client_id, registration)
        yield Sandbox(entry, again, remote)


@dataclass
class Toolkit:
    """django-oauth-toolkit, through its own pages."""

    entry: OAuth2Entry
    again: Again
    user: dict[str, str]

    async def decide(self, url: str, *, allow: bool) -> str:
        async with httpx.AsyncClient(trust_env=False) as browser:
            page = await browser.get(url)
            page = await browser.get(urljoin(url, page.headers["location"]))
            page = await self._submit(browser, page, self.user)
            page = await browser.get(urljoin(url, page.headers["location"]))
            if page.is_redirect:
                return str(page.headers["location"])
            page = await self._submit(browser, page, {"allow": "Authorize"} if allow else {})
            return str(page.headers["location"])

    async def _submit(
        self, browser: httpx.AsyncClient, page: httpx.Response, filled: dict[str, str]
    ) -> httpx.Response:
        hidden = re.findall(r'<input type="hidden" name="([^"]*)"(?: value="([^"]*)")?', page.text)
        form = {name: html.unescape(value) for name, value in hidden}
        answer = await browser.post(page.url, data={**form, **filled})
        assert answer.is_redirect, answer.text
        return answer


@asynccontextmanager
async def toolkit(again: Again, folder: Path) -> AsyncIterator[Counterpart]:
    user = {"username": "alice", "password": secrets.token_urlsafe(12)}
    entry = entry_of("toolkit", *["http://127.0.0.1"] * 3)
    app = {
        "client_id": entry.client_id,
        "client_secret": SECRET,
        "redirect_uris": REDIRECT_URI,
        "name": "Moorline",
    }
    asked = {
        "database": str(folder / f"toolkit-{again.name.lower()}.sqlite3"),
        "grace_s": 0 if again is Again.REFUSED else 120,
        "app": app,
        "user": user,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), json.dumps(asked), stdin=pipe, stdout=pipe
    )
    try:
        assert process.stdout is not None
        port = (await process.stdout.readline()).decode().strip()
        base = f"http://127.0.0.1:{port}/o"
        urls = (f"{base}/authorize/", f"{base}/token/", f"{base}/revoke_token/")
        yield Toolkit(entry_of("toolkit", *urls), again, user)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
