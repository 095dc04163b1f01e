"""A person's browser, as far as our pages need one: cookies, forms, and where pages go on to."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from sqlmodel import select

from domain.status import ConnectionStatus
from storage import attempts, connect_sessions, session_ends
from storage.database import now
from storage.gateway_tables import ConnectSessionRow
from storage.tables import AttemptRow, StagedRow
from tests.web.gateway import RETURN_URL, Web

ACTIVE, PENDING, FAILED = (
    ConnectionStatus.ACTIVE,
    ConnectionStatus.PENDING,
    ConnectionStatus.FAILED,
)
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


async def exchanges(web: Web) -> int:
    log = await web.world.log()
    return len([entry for entry in log if entry.grant_type == "authorization_code"])


async def attempt_of(web: Web, connection_id: UUID) -> AttemptRow:
    async with web.world.database.transaction() as session:
        row = await attempts.newest(session, connection_id)
    assert row is not None
    return row


async def returned(web: Web, person: httpx.AsyncClient, link: str) -> dict[str, str]:
    """Through the provider and back to the application: what the browser brings it."""
    back = await web.world.sandbox.authorize(await go_on(person, link))
    answer = await to_the_end(person, back)
    assert answer.headers["location"].startswith(RETURN_URL)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


async def turned_away(web: Web, connection_id: UUID) -> list[str]:
    """Why something that came back was turned away, as the connection's events say."""
    rows = await web.world.connections.events(connection_id)
    return [str(row.data["reason"]) for row in rows if row.type == "AuthorizationCallbackRejected"]


async def swept(web: Web, after: timedelta) -> None:
    """The sweep of a gateway, as it will be done so much later."""
    async with web.world.database.transaction() as session:
        at = await now(session)
    await session_ends.sweep(web.world.database, at + after)


async def key_form(web: Web, person: httpx.AsyncClient, link: str) -> str:
    """On to the form for a key; its address."""
    answer = await person.post(link, headers=OWN_FORM)
    assert answer.status_code == 303
    return f"{web.options.public_url}{answer.headers['location']}"


async def give(person: httpx.AsyncClient, form: str, key: str) -> httpx.Response:
    return await person.post(form, data={"api_key": key}, headers=OWN_FORM)


async def kept_keys(web: Web) -> list[StagedRow]:
    async with web.world.database.transaction() as session:
        unused = select(StagedRow).where(StagedRow.sealed != b"")
        return list((await session.exec(unused)).all())


async def session_of(web: Web, session_id: UUID) -> ConnectSessionRow:
    async with web.world.database.transaction() as session:
        return await connect_sessions.get(session, session_id)


async def complete(
    web: Web, session_id: UUID, proof: str, user_id: UUID | None = None
) -> httpx.Response:
    body = {"user_id": str(user_id or web.world.user_id), "proof": proof}
    return await web.app.post(f"/v1/connect-sessions/{session_id}/complete", json=body)


def proof_in(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(onward(answer)).query)["proof"][0]
