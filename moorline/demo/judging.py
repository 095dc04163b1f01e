"""How the story is judged: by the provider's own log, by what it accepts, and by what is stored."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import httpx

from domain.errors import MoorlineError
from domain.status import ConnectionStatus
from moorline.demo.stage import Stage
from providers.sandbox.ledger import Entry
from storage import data_keys

T = TypeVar("T")

WITHIN = timedelta(seconds=45)
POLL_S = 0.1

STATUS_OF_EVENT = {
    "ProviderConnectionAttempted": ConnectionStatus.PENDING,
    "ProviderConnectionSucceeded": ConnectionStatus.ACTIVE,
    "ProviderConnectionFailed": ConnectionStatus.FAILED,
    "ConnectionExpired": ConnectionStatus.EXPIRED,
    "ConnectionRevoked": ConnectionStatus.REVOKED,
    "ProviderDisconnectionSucceeded": ConnectionStatus.DISCONNECTED,
}


class NotAsTold(Exception):
    """A step did not hold; the message says what was seen instead."""


def check(holds: bool, otherwise: str) -> None:
    """Go on if it holds."""
    if not holds:
        raise NotAsTold(otherwise)


async def until(fact: Callable[[], Awaitable[T | None]], otherwise: str) -> T:
    """Wait for a fact."""
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            while not (found := await fact()):
                await asyncio.sleep(POLL_S)
            return found
    except TimeoutError:
        raise NotAsTold(otherwise) from None


async def calls(stage: Stage, slug: str, endpoint: str = "token") -> list[Entry]:
    """What the provider logged of an app's calls to an endpoint, in order."""
    entries = await stage.sandbox.log()
    mine = [e for e in entries if e.client_id == slug and e.endpoint == endpoint]
    return sorted(mine, key=lambda entry: entry.started_at)


async def refreshes(stage: Stage, slug: str) -> list[Entry]:
    """The refreshes among them."""
    return [e for e in await calls(stage, slug) if e.grant_type == "refresh_token"]


async def accepts(stage: Stage, access_token: str) -> bool:
    """Whether the provider lets this token in."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(
            f"{stage.development.stack.sandbox_url}/api/me",
            headers={"authorization": f"Bearer {access_token}"},
        )
    return answer.status_code == 200


async def refuses_leases(stage: Stage, connection_id: UUID) -> bool:
    """Whether no token is handed out any more."""
    try:
        await stage.connections.lease(connection_id)
    except MoorlineError:
        return True
    return False


async def revoked_newest(stage: Stage, slug: str) -> Entry:
    """The provider's record of its newest refresh token being revoked."""

    async def recorded() -> Entry | None:
        entries = await calls(stage, slug, "revoke")
        return next((e for e in reversed(entries) if e.acted and e.presented == "current"), None)

    return await until(recorded, "the provider has not been told to revoke the newest token")


async def has_data_key(stage: Stage, connection_id: UUID) -> bool:
    """Whether anything of the connection could still be opened."""
    async with stage.parts.database.transaction() as session:
        return await data_keys.find(session, connection_id) is not None


async def statuses(stage: Stage, connection_id: UUID) -> list[str]:
    """The statuses of a connection in the order it had them, from its event log."""
    row: list[str] = []
    for event in await stage.connections.events(connection_id):
        status = STATUS_OF_EVENT.get(event.type)
        # Only the first authorization made it PENDING; one that is begun again changes no status.
        if status is not None and not (status is ConnectionStatus.PENDING and row):
            row.append(status.value)
    return row
