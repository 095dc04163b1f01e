"""A whole world for one test: its own database, keys, provider app, task queue and worker.

Servers are shared by the session; nothing else is, so tests may run in any order.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import yaml
from pydantic import JsonValue
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskFailedEventAttributes
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, HeaderCodecBehavior
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.resources import Resources
from client.authorizations import Received
from client.codec import EncryptionCodec
from client.connections import Connecting, ConnectionsClient
from client.messaging import Messaging
from client.temporal import data_converter
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.credentials import CredentialType
from domain.result import Result, Success
from domain.secret import Secret
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.assembly import Workers, new_worker, patient, workflow_runner
from moorline.stack import PostgresServer, TemporalServer
from moorline.stack.ports import free_ports
from providers.catalogue import Catalogue
from providers.sandbox import create_app
from providers.sandbox.clients import Registration
from providers.sandbox.grants import Grant
from providers.sandbox.ledger import Entry
from providers.sandbox.remote import Minted, NewKey, Remote
from providers.sandbox.serving import serve
from providers.sandbox.sessions import User
from providers.transport import new_http_client
from storage import schema
from storage.connections import credentials_of
from storage.database import Database, run
from storage.keyring import Keyring, new_key
from storage.vault import Vault
from workflows.connection import ConnectionWorkflow
from workflows.names import workflow_id

T = TypeVar("T")
RequestT = TypeVar("RequestT")

BROKER = "broker"
"""The slug of the sandbox's broker, in worlds that know it: see ``write_broker``."""
REDIRECT_URI = "http://127.0.0.1:8400/callback"
WITHIN = timedelta(seconds=60)
"""How long a fact may take: no test waits longer than it must, and the machine may be busy."""


@dataclass
class Servers:
    """What the session shares."""

    temporal_address: str
    metrics_url: str
    database_url: str
    sandbox: Remote
    postgres: PostgresServer
    temporal: TemporalServer


@asynccontextmanager
async def servers_up(state: Path, *, in_memory: bool = True) -> AsyncIterator[Servers]:
    """Temporal, PostgreSQL with a migrated template, and the sandbox provider."""
    postgres_port, temporal_port, metrics_port = free_ports(3)
    async with (
        PostgresServer(state, postgres_port) as postgres,
        TemporalServer(
            state, temporal_port, in_memory=in_memory, metrics_port=metrics_port
        ) as temporal,
        serve(create_app(None)) as sandbox_url,
        Remote.connect(sandbox_url) as sandbox,
    ):
        shared = Servers(
            temporal.address,
            temporal.metrics_url,
            postgres.database_url,
            sandbox,
            postgres,
            temporal,
        )
        await create_template(shared)
        yield shared


@dataclass
class World:
    """Everything one test works with."""

    servers: Servers
    database: Database
    vault: Vault
    codec: EncryptionCodec
    temporal: Client
    catalogue: Catalogue
    resources: Resources
    connections: ConnectionsClient
    messaging: Messaging
    client_id: str
    slug: str
    task_queue: str
    folder: Path
    keys: str = field(repr=False)
    payload_keys: str = field(repr=False)
    user_id: UUID = field(default_factory=uuid4)

    @property
    def sandbox(self) -> Remote:
        return self.servers.sandbox

    @asynccontextmanager
    async def working(self, max_cached_workflows: int = 1000) -> AsyncIterator[Workers]:
        """A worker runs for as long as the block does."""
        worker = new_worker(
            self.temporal,
            self.task_queue,
            self.resources,
            graceful_shutdown=timedelta(seconds=30),
            max_cached_workflows=max_cached_workflows,
        )
        async with worker:
            yield worker

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """Only workflows go on: whatever activity they ask for is not begun by anyone."""
        worker = Worker(
            self.temporal,
            task_queue=self.task_queue,
            workflows=[ConnectionWorkflow],
            workflow_runner=workflow_runner(),
        )
        async with patient(worker):
            yield

    async def behave(self, **fields: JsonValue) -> None:
        await self.sandbox.behave(self.client_id, **fields)

    async def plant(self, endpoint: str, kind: str, **fields: JsonValue) -> str:
        """A fault for this test's provider app only."""
        return await self.sandbox.plant(endpoint, kind, client_id=self.client_id, **fields)  # type: ignore[arg-type]

    async def log(self, endpoint: str = "token") -> list[Entry]:
        """What the provider itself saw of this test's app."""
        entries = await self.sandbox.log(endpoint=endpoint)  # type: ignore[arg-type]
        return [entry for entry in entries if entry.client_id == self.client_id]

    async def lost_answer(self) -> Entry:
        """Wait until the provider has rotated for this test's app, and its answer is on the way."""
        return await self.sandbox.logged(
            lambda call: call.client_id == self.client_id and call.rotated and not call.answered
        )

    async def refreshes(self) -> list[Entry]:
        return [entry for entry in await self.log() if entry.grant_type == "refresh_token"]

    async def consent(self, begun: Connecting, decision: str = "allow") -> str:
        """What a person does in the browser; where it sends them back to."""
        url = await self.connections.provider_url(begun.attempt_id)
        return await self.sandbox.authorize(url, decision=decision)  # type: ignore[arg-type]

    async def connected(self, connection_id: UUID | None = None) -> ConnectionView:
        """A connection that went through the provider's login and consent."""
        begun = await self.connections.connect(self.slug, self.user_id, connection_id=connection_id)
        received = await self.connections.receive_redirect(await self.consent(begun))
        return await self.connections.authorize(received)

    async def imported(
        self, expires_in: timedelta = timedelta(hours=1), user: User = "alice"
    ) -> ConnectionView:
        """A connection that was born ACTIVE with credentials one had."""
        connection_id = uuid4()
        minted = await self.sandbox.mint(self.client_id, user)
        command = await self.command(connection_id, minted, expires_in)
        result = await self.connections.connect_provider(command, connection_id)
        assert result == Success(value=connection_id)
        return await self.connections.view(connection_id)

    async def command(
        self,
        connection_id: UUID,
        minted: Minted | None = None,
        expires_in: timedelta = timedelta(hours=1),
    ) -> ConnectProvider:
        """A ``ConnectProvider`` command with tokens of a real grant."""
        minted = minted or await self.sandbox.mint(self.client_id)
        secret = {
            "access_token": Secret(minted.access_token),
            "refresh_token": Secret(minted.refresh_token or ""),
        }
        return ConnectProvider(
            user_id=self.user_id,
            provider_id=provider_id_of(self.slug),
            provider_slug=self.slug,
            credentials=await self.connections.seal(
                connection_id, secret, expires_at=datetime.now(UTC) + expires_in
            ),
        )

    async def received_again(self, connection_id: UUID) -> Received:
        """Another authorization of a connection there is, up to the redirect."""
        begun = await self.connections.begin_authorization(connection_id)
        url = await self.connections.provider_url(begun.attempt_id)
        return await self.connections.receive_redirect(await self.sandbox.authorize(url))

    async def grants(self) -> list[Grant]:
        """The grants of this test's app, as the provider sees them."""
        return [g for g in await self.sandbox.grants() if g.client_id == self.client_id]

    async def bring_key(
        self, api_key: str, slug: str = BROKER, connection_id: UUID | None = None
    ) -> Result[UUID, str]:
        """``ConnectProvider`` with an API key."""
        connection_id = connection_id or uuid4()
        secret = {"api_key": Secret(api_key)}
        sealed = await self.connections.seal(connection_id, secret, CredentialType.API_KEY)
        command = ConnectProvider(
            user_id=self.user_id,
            provider_id=provider_id_of(slug),
            provider_slug=slug,
            credentials=sealed,
        )
        return await self.connections.connect_provider(command, connection_id)

    async def connected_by_key(self) -> tuple[UUID, NewKey]:
        """A connection that was born ACTIVE with a good key, and which key that is."""
        made = await self.sandbox.new_key()
        result = await self.bring_key(made.api_key)
        assert isinstance(result, Success)
        return result.value, made

    async def grant(self) -> Grant:
        """The only one."""
        (grant,) = await self.grants()
        return grant

    @asynccontextmanager
    async def wrong_database(self) -> AsyncIterator[None]:
        """The server answers and does not know our database, as it would not a wrong password."""
        name = str(self.database.engine.url.database)
        async with administrator(self.servers) as connection:
            await _rename(connection, name, f"{name}_elsewhere")
            try:
                yield
            finally:
                await _rename(connection, f"{name}_elsewhere", name)

    @asynccontextmanager
    async def without_database(self) -> AsyncIterator[None]:
        """The database is away for as long as the block runs: no connection, old or new."""
        name = str(self.database.engine.url.database)
        async with administrator(self.servers) as connection:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )
            try:
                yield
            finally:
                await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def details(self, connection_id: UUID) -> str:
        """The current details of the workflow's page in the web UI, asked for as the UI does."""
        handle = self.temporal.get_workflow_handle(workflow_id(connection_id))
        answer = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return str(answer.current_details)

    async def leased_until(self, connection_id: UUID) -> datetime:
        """When the claim on a connection's credentials lapses, by the database's clock."""
        async with self.database.transaction() as session:
            row = await credentials_of(session, connection_id)
        assert row.lease_until is not None
        return row.lease_until

    async def damage(self, statement: str) -> None:
        """Do something to the rows that no code of ours would."""
        async with self.database.transaction() as session:
            await run(session, statement, {})

    async def becomes(self, connection_id: UUID, *statuses: ConnectionStatus) -> ConnectionView:
        return await self.connections.wait_for(connection_id, *statuses, within=WITHIN)

    async def event_types(self, connection_id: UUID) -> list[str]:
        return [row.type for row in await self.connections.events(connection_id)]

    async def perform(
        self, work: Callable[[RequestT], Coroutine[object, object, T]], request: RequestT
    ) -> T:
        """Carry out an activity as a worker would, in a world that may have none."""
        return await ActivityEnvironment().run(work, request)

    async def history(self, connection_id: UUID) -> Sequence[HistoryEvent]:
        """What Temporal has recorded of the life's present run."""
        handle = self.temporal.get_workflow_handle(workflow_id(connection_id))
        return (await handle.fetch_history()).events

    async def whole_history(self, connection_id: UUID) -> Sequence[HistoryEvent]:
        """The same of all its runs."""
        name, events = workflow_id(connection_id), [*await self.history(connection_id)]
        while before := run_before(events[0]):
            handle = self.temporal.get_workflow_handle(name, run_id=before)
            events = [*(await handle.fetch_history()).events, *events]
        return events

    async def failed_tasks(
        self, connection_id: UUID
    ) -> Sequence[WorkflowTaskFailedEventAttributes]:
        """What no worker could do, in all its runs."""
        return [
            event.workflow_task_failed_event_attributes
            for event in await self.whole_history(connection_id)
            if event.HasField("workflow_task_failed_event_attributes")
        ]


def run_before(first: HistoryEvent) -> str:
    """The run that this one continues; empty, if it is the first."""
    return first.workflow_execution_started_event_attributes.continued_execution_run_id


async def _rename(connection: asyncpg.Connection, before: str, after: str) -> None:
    await connection.execute(f"ALTER DATABASE {before} ALLOW_CONNECTIONS false")
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", before
    )
    await connection.execute(f"ALTER DATABASE {before} RENAME TO {after}")
    await connection.execute(f"ALTER DATABASE {after} ALLOW_CONNECTIONS true")


async def until(fact: Callable[[], Awaitable[T | None]], within: timedelta = WITHIN) -> T:
    """Wait for a fact: whatever is truthy."""
    async with asyncio.timeout(within.total_seconds()):
        while not (found := await fact()):
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def new_world(
    servers: Servers,
    folder: Path,
    *,
    entry: Mapping[str, JsonValue] | None = None,
    encrypted: bool = True,
    require_encrypted: bool = False,
    **behaviour: JsonValue,
) -> AsyncIterator[World]:
    """A world of its own: ``behaviour`` of its provider app, changes to its ``entry``."""
    async with AsyncExitStack() as stack:
        name = f"w{secrets.token_hex(6)}"
        database = Database(await create_database(servers, name))
        stack.push_async_callback(database.close)
        http = await stack.enter_async_context(new_http_client())
        await register(servers.sandbox, name, **behaviour)
        catalogue = Catalogue.read(
            write_entry(folder, servers.sandbox.base_url, name, **(entry or {}))
        )
        keys, payload_keys = new_key("test"), new_key("test")
        vault = Vault(Keyring.parse(keys, "keys"))
        ring = Keyring.parse(payload_keys, "payload keys")
        codec = EncryptionCodec(ring, required=require_encrypted)
        temporal = await connect_temporal(servers, codec if encrypted else None)
        messaging = Messaging(temporal, name)
        yield World(
            servers=servers,
            database=database,
            vault=vault,
            codec=codec,
            temporal=temporal,
            catalogue=catalogue,
            resources=Resources(database, vault, catalogue, http, REDIRECT_URI),
            connections=ConnectionsClient(messaging, database, vault, catalogue),
            messaging=messaging,
            client_id=name,
            slug=name,
            task_queue=name,
            folder=folder,
            keys=keys,
            payload_keys=payload_keys,
        )


async def connect_temporal(servers: Servers, codec: EncryptionCodec | None) -> Client:
    """As everywhere; without a codec for histories that are to be read and replayed."""
    return await Client.connect(
        servers.temporal_address,
        data_converter=data_converter(codec) if codec else pydantic_data_converter,
        header_codec_behavior=HeaderCodecBehavior.CODEC,
        identity="a test",
    )


async def register(
    sandbox: Remote, client_id: str, *redirect_uris: str, **behaviour: JsonValue
) -> None:
    """An app at the provider; its users are sent back to loopback addresses, and to these."""
    registration = Registration.model_validate(
        {
            "secret": f"mlcanary-secret-{client_id}",
            "redirect_uris": [
                "http://127.0.0.1/callback",
                f"http://127.0.0.1/callback/{client_id}",
                *redirect_uris,
            ],
            "behaviour": behaviour,
        }
    )
    await sandbox.register(client_id, registration)


def write_entry(folder: Path, base_url: str, name: str, **changes: JsonValue) -> Path:
    """A provider entry for an app of the sandbox; the folder it is in."""
    entry: dict[str, object] = {
        "slug": name,
        "name": "Sandbox",
        "type": "oauth2",
        "authorize_url": f"{base_url}/authorize",
        "token_url": f"{base_url}/token",
        "revoke_url": f"{base_url}/revoke",
        "issuer": base_url,
        "sends_iss": True,
        "client_id": name,
        "client_secret": f"mlcanary-secret-{name}",
        "scopes": ["profile"],
        "refusals": [
            {
                "fields": {"error": "invalid_grant", "error_subtype": "access_revoked"},
                "outcome": "access_revoked",
            }
        ],
        **changes,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(entry))
    return folder


def data_of(servers: Servers, **changes: JsonValue) -> dict[str, JsonValue]:
    """The part of an entry that has its data read."""
    url = f"{servers.sandbox.base_url}/api"
    return {"data": {"reader": "sandbox", "url": url, **changes}}


def write_broker(folder: Path, base_url: str, name: str = BROKER, **changes: JsonValue) -> Path:
    """A provider entry for the sandbox's broker; the folder it is in."""
    entry: dict[str, object] = {
        "slug": name,
        "name": "Broker",
        "type": "api_key",
        "verify_url": f"{base_url}/broker/me",
        "header": "X-Api-Key",
        "prefix": "",
        "data": {"reader": "sandbox", "url": f"{base_url}/broker"},
        **changes,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(entry))
    return folder


async def create_database(servers: Servers, name: str) -> str:
    """A migrated database of this name, copied from one that was migrated before."""
    async with administrator(servers) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return _url(servers, name)


TEMPLATE = "migrated"


async def create_template(servers: Servers) -> None:
    async with administrator(servers) as connection:
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    database = Database(_url(servers, TEMPLATE))
    await schema.migrate(database)
    await database.close()


def _url(servers: Servers, name: str) -> str:
    return urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def administrator(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    url = servers.database_url.replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
