"""The ground all benchmarks stand on: one stack of real servers, and many connections quickly."""

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import yaml
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.resources import Resources
from benchmarks import idling
from benchmarks.abreast import abreast
from client.connections import ConnectionsClient
from client.messaging import Messaging
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.result import Success
from domain.secret import Secret
from moorline import assembly, settings
from moorline.development import Development, developing
from moorline.stack import Child, Ports, StackFacts
from providers.sandbox.behaviour import Behaviour
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Remote
from providers.transport import new_http_client
from storage.database import Database

SECRET = "mlcanary-secret-benchmarks"
SHORT, LONG, DATA, GRACE = "bench-short", "bench-long", "bench-data", "bench-grace"
DAY = timedelta(days=1)
APPS = {
    SHORT: Behaviour(access_ttl_s=2),
    LONG: Behaviour(access_ttl_s=DAY.total_seconds()),
    DATA: Behaviour(access_ttl_s=DAY.total_seconds()),
    GRACE: Behaviour(access_ttl_s=DAY.total_seconds(), rotation="grace", grace_s=3600),
}
"""Tokens of seconds, of a day, with data to be read, with a window of grace."""


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

    @asynccontextmanager
    async def working(self, queue: str) -> AsyncIterator[None]:
        """A worker of ours in this process, as the bare ones are."""
        parts = self.parts
        # A pool of its own: the benchmark asks for many things at once, too.
        database = Database(parts.settings.database_url.get_secret_value())
        async with new_http_client() as http:
            resources = Resources(
                database, parts.vault, parts.catalogue, http, parts.settings.redirect_uri
            )
            worker = assembly.new_worker(
                parts.temporal,
                queue,
                resources,
                graceful_shutdown=timedelta(seconds=30),
                max_cached_workflows=2000,
            )
            async with worker:
                yield
        await database.close()

    async def bare_worker(self, queue: str) -> Child:
        """A worker of bare workflows, as a process of its own."""
        return await self.development.stack.start_python(
            queue,
            ["-m", "benchmarks.idling", queue],
            env=self.development.environment,
            ready=idling.READY,
        )

    async def connect(
        self,
        client: ConnectionsClient,
        slug: str,
        count: int,
        *,
        first_refresh_s: float | None = None,
    ) -> list[UUID]:
        """So many ACTIVE connections.

        Args:
            first_refresh_s: the first refresh comes no earlier than this; None: as the provider
                says of its tokens.
        """

        async def one(_: int) -> UUID:
            minted = await self.sandbox.mint(slug)
            connection_id = uuid4()
            secret = {
                "access_token": Secret(minted.access_token),
                "refresh_token": Secret(minted.refresh_token or ""),
            }
            lives_s = float(minted.expires_in or 60)
            if first_refresh_s is not None:
                lives_s = _life_before(first_refresh_s)
            ends_at = datetime.now(UTC) + timedelta(seconds=lives_s)
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
        """Terminate them and forget all connections: they cost the next benchmark nothing."""

        async def one(connection_id: UUID) -> None:
            handle = self.bare.get_workflow_handle(f"connection-{connection_id}")
            await handle.terminate()

        await abreast(one, connections)
        connection = await self.raw_connection()
        await connection.execute("TRUNCATE connections CASCADE")
        await connection.close()

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

    async def generations(self) -> float:
        """All tokens so far, the first ones included."""
        return await self.value("SELECT sum(generation) FROM credentials")

    async def history(self, connection_id: UUID) -> tuple[int, int, int]:
        """Events and bytes of a life, all its runs together, and how many runs that are."""
        handle = self.bare.get_workflow_handle(f"connection-{connection_id}")
        events = size = runs = 0
        while True:
            described = (await handle.describe()).raw_description.workflow_execution_info
            events += described.history_length
            size += described.history_size_bytes
            runs += 1
            if described.first_run_id in {"", described.execution.run_id}:
                return events, size, runs
            handle = await self._run_before(handle)

    async def _run_before(self, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
        started = await anext(aiter(handle.fetch_history_events(page_size=1)))
        attributes = started.workflow_execution_started_event_attributes
        return self.bare.get_workflow_handle(
            handle.id, run_id=attributes.continued_execution_run_id
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


def _life_before(first_refresh_s: float) -> float:
    """How long a token must live that is not refreshed before this."""
    # Its last three eighths to five eighths, of at most 75 s, are for refreshing it.
    return min(first_refresh_s * 8 / 3, first_refresh_s + 75)


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
        if slug == DATA:
            entry |= {"data": {"reader": "sandbox", "url": f"{url}/api"}}  # type: ignore[dict-item]
        (folder / f"{slug}.yaml").write_text(yaml.safe_dump(entry))
