"""A person's browser, as far as our pages need one: cookies, forms, and where pages go on to."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx

from tests.web.gateway import Web

OWN_FORM = {"sec-fetch-site": "same-origin"}


@asynccontextmanager
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A browser that knows nobody yet."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        yield http


async def begin(web: Web, **fields: object) -> tuple[UUID, str, UUID]:
    """What the application does: the connection, the link for its user, and the session."""
    asked = {"provider": web.world.slug, "user_id": str(web.world.user_id), **fields}
    answer = await web.app.post("/v1/connections", json=asked)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    link = found["connect"]
    return UUID(found["connection"]["connection_id"]), link["url"], UUID(link["session_id"])


async def go_on(person: httpx.AsyncClient, link: str) -> str:
    """The user reads the page and goes on; the address at the provider it leads to."""
    assert (await person.get(link)).status_code == 200
    answer = await person.post(link, headers=OWN_FORM)
    assert answer.status_code == 200, answer.text
    return onward(answer)


def onward(answer: httpx.Response) -> str:
    """Where a page goes on to by itself."""
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    assert found is not None, answer.text
    return html.unescape(found[1])


async def to_the_end(person: httpx.AsyncClient, address: str) -> httpx.Response:
    """Follow redirects and pages that go on by themselves, on our own host."""
    host = httpx.URL(address).netloc
    answer = await person.get(address)
    while True:
        if answer.is_redirect:
            target = answer.url.join(answer.headers["location"])
            if target.netloc != host:
                return answer
            answer = await person.get(target)
        elif 'http-equiv="refresh" content="2"' in answer.text:
            answer = await person.get(answer.url)
        else:
            return answer
