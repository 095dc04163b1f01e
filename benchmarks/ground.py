"""The ground all benchmarks stand on: one stack of real servers, and many connections quickly."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import asyncpg
import httpx
import yaml
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from client.connections import ConnectionsClient
from client.messaging import Messaging
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.result import Success
from domain.secret import Secret
from moorline import assembly, settings
from moorline.development import Development, developing
from moorline.stack import Ports, StackFacts
from providers.sandbox.behaviour import Behaviour
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Remote

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 20
SECRET = "mlcanary-secret-benchmarks"
APPS = {
    "bench-short": Behaviour(access_ttl_s=2),
    "bench-long": Behaviour(access_ttl_s=86_400),
    "bench-data": Behaviour(access_ttl_s=86_400),
}
"""Tokens of two seconds, of a day, and of a day with data to be read."""


@dataclass
class Ground:
    """The servers, and ways to them."""

    development: Development
    parts: assembly.Parts
    sandbox: Remote
    bare: Client
    """Temporal without converter and codec of ours."""

    def on_queue(self, queue: str) -> ConnectionsClient:
        """The client SDK, for connections that live on a queue of their own."""
        messaging = Messaging(self.parts.temporal, queue)
        parts = self.parts
        return ConnectionsClient(messaging, parts.database, parts.vault, parts.catalogue)

    async def connect(self, client: ConnectionsClient, slug: str, count: int) -> list[UUID]:
        """So many ACTIVE connections."""

        async def one(_: int) -> UUID:
            minted = await self.sandbox.mint(slug)
            connection_id = uuid4()
            secret = {
                "access_token": Secret(minted.access_token),
                "refresh_token": Secret(minted.refresh_token or ""),
            }
            ends_at = datetime.now(UTC) + timedelta(seconds=minted.expires_in or 60)
            command = ConnectProvider(
                user_id=uuid4(),
                provider_id=provider_id_of(slug),
                provider_slug=slug,
                credentials=await client.seal(connection_id, secret, expires_at=ends_at),
            )
            result = await client.connect_provider(command, connection_id)
            assert isinstance(result, Success), result
            return connection_id

        return await abreast(one, range(count))

    async def end(self, connections: Iterable[UUID]) -> None:
        """Terminate them, so that they cost the next benchmark nothing."""

        async def one(connection_id: UUID) -> None:
            handle = self.bare.get_workflow_handle(f"connection-{connection_id}")
            await handle.terminate()

        await abreast(one, connections)

    async def actions(self) -> float:
        """Billable actions so far, by the server's own counter."""
        stack = self.development.stack
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"http://127.0.0.1:{stack.ports.metrics}/metrics")).text
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("action{")
        )

    async def value(self, query: str, *values: object) -> float:
        """The one number that a query finds."""
        connection = await self.raw_connection()
        try:
            return float(await connection.fetchval(query, *values) or 0)
        finally:
            await connection.close()

    async def raw_connection(self) -> asyncpg.Connection:
        """PostgreSQL by the bare driver."""
        url = self.parts.settings.database_url.get_secret_value()
        return await asyncpg.connect(url.replace("+asyncpg", ""))


@asynccontextmanager
async def ground(state: Path) -> AsyncIterator[Ground]:
    """A stack of its own on free ports; everything is stopped and removed at the end."""
    providers = state / "providers"
    providers.mkdir(parents=True, mode=0o700)
    ports = Ports.free()
    _write_entries(providers, f"http://127.0.0.1:{ports.sandbox}")
    extra = {"MOORLINE_PROVIDERS": str(providers), "MOORLINE_LOG_LEVEL": "INFO"}
    try:
        async with developing(state, StackFacts.read(), ports, extra=extra) as development:
            os.environ.update(development.environment)
            async with (
                Remote.connect(development.stack.sandbox_url) as sandbox,
                assembly.opened(settings.load(state)) as parts,
            ):
                for slug, behaviour in APPS.items():
                    registration = Registration(
                        secret=SECRET,
                        redirect_uris=["http://127.0.0.1/callback"],
                        behaviour=behaviour,
                    )
                    await sandbox.register(slug, registration)
                bare = await Client.connect(
                    development.stack.temporal_address, data_converter=pydantic_data_converter
                )
                yield Ground(development, parts, sandbox, bare)
    finally:
        shutil.rmtree(state)


async def abreast(work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Do this with each, twenty at once; the answers in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with gate:
            return await work(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


async def until(fact: Callable[[], Awaitable[bool]], within_s: float = 300) -> float:
    """Wait for a fact; how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await fact():
            await asyncio.sleep(0.05)
    return time.monotonic() - began


def _write_entries(folder: Path, url: str) -> None:
    for slug in APPS:
        entry = {
            "slug": slug,
            "name": slug,
            "type": "oauth2",
            "authorize_url": f"{url}/authorize",
            "token_url": f"{url}/token",
            "revoke_url": f"{url}/revoke",
            "client_id": slug,
            "client_secret": SECRET,
        }
        if slug == "bench-data":
            entry |= {"data": {"reader": "sandbox", "url": f"{url}/api"}}  # type: ignore[dict-item]
        (folder / f"{slug}.yaml").write_text(yaml.safe_dump(entry))
