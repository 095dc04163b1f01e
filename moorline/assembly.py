"""Putting the parts together: what a worker, the gateway and the command line are made of."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.adopt import Adoption
from activities.authenticate import Authentication
from activities.begin_authorization import Authorizations
from activities.connect_provider import Connecting
from activities.refresh import Refresh
from activities.replace_api_key import KeyReplacement
from activities.resources import Resources
from activities.revoke_at_provider import RevocationAtProvider
from activities.shred_credentials import Shredding
from activities.store_credentials import CredentialStore
from activities.sync_data import Syncing
from activities.transitions import Transitions
from activities.verify_api_key import Verification
from client.codec import EncryptionCodec
from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import connect
from domain.secret import Secret
from gateway.app import create_app
from gateway.operators import IdentityProvider
from gateway.options import Options
from moorline.settings import Settings
from providers.catalogue import Catalogue
from providers.transport import new_http_client
from storage import schema
from storage.database import Database
from storage.vault import Vault
from workflows.connection import ConnectionWorkflow
from workflows.names import reading_queue

DEPLOYMENT = "moorline"
STICKY = timedelta(seconds=2)
"""How long a workflow task waits for the worker that has it in memory. The SDK's 10 s would be
added to every recovery from a killed worker."""
STANDSTILL_S = 60
"""How long a life may compute at a stretch before the SDK takes it for stuck and interrupts it. Its
two seconds pass on a busy machine without anything being wrong (a garbage collection is enough),
and a run that was interrupted can often not be evicted: this worker loses its tasks from then on.
Temporal itself gives a workflow task to somebody else after ten."""
AT_ONCE = 40
"""Activities of one worker. What is too much waits in Temporal, where it costs nothing; the SDK's
100 would wait for the database's 20 connections instead, and fail there under load."""
READING_AT_ONCE = 20
"""Connections whose data one worker reads at once."""
UNVERSIONED = version("moorline")
"""What an unversioned worker calls itself. The SDK would hash all code that is loaded: a longer
name, kept five times for every refresh, of which nobody can tell what it is."""
PASSED_THROUGH = (
    "activities",
    "domain",
    "providers",
    "storage",
    "workflows",
    "httpx",
    "pydantic",
    "pydantic_core",
    "sqlalchemy",
    "sqlmodel",
    "uuid6",
)
"""Not loaded again for every workflow: a third of the memory, half of the time."""


@dataclass(frozen=True)
class Parts:
    """What everything works with, opened from the settings."""

    settings: Settings
    temporal: Client
    codec: EncryptionCodec
    database: Database
    vault: Vault
    catalogue: Catalogue
    connections: ConnectionsClient


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Parts]:
    """Open everything, and close it at the end of the block.

    Raises:
        NotConfigured: keys, catalogue, database schema or Temporal's configuration are not right.
        Unreachable: the database or Temporal does not answer.
    """
    vault = Vault(settings.keyring())
    codec = EncryptionCodec(
        settings.payload_keyring(), required=settings.require_encrypted_payloads
    )
    catalogue = Catalogue.read(settings.providers)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        await schema.check(database)
        temporal = await connect(codec, os.environ)
        messaging = Messaging(temporal, settings.task_queue)
        connections = ConnectionsClient(messaging, database, vault, catalogue)
        yield Parts(settings, temporal, codec, database, vault, catalogue, connections)


def gateway(parts: Parts, ui_origins: Collection[str]) -> FastAPI:
    """The gateway; it uses ``parts`` for as long as it serves.

    Args:
        ui_origins: where Temporal's web UI is served from.
    """
    settings = parts.settings
    token = settings.codec_token
    options = Options(
        public_url=settings.public_url or f"http://127.0.0.1:{settings.gateway_port}",
        application=settings.application,
        return_urls=frozenset(settings.return_urls),
        ui_origins=frozenset(ui_origins),
        namespaces=frozenset({parts.temporal.namespace}),
        codec_token=Secret(token.get_secret_value()) if token else None,
        identity_provider=_identity_provider(settings),
    )
    return create_app(parts.connections, parts.codec, parts.database, options)


def _identity_provider(settings: Settings) -> IdentityProvider | None:
    if settings.oidc is None:
        return None
    claim, _, value = settings.oidc.operator.partition("=")
    oidc = settings.oidc
    return IdentityProvider(oidc.issuer, oidc.audience, oidc.jwks_url, claim, value)


@asynccontextmanager
async def worker(parts: Parts) -> AsyncIterator["Workers"]:
    """A worker that is ready to run; its HTTP client is closed at the end of the block."""
    settings = parts.settings
    async with new_http_client() as http:
        resources = Resources(
            parts.database,
            parts.vault,
            parts.catalogue,
            http,
            settings.redirect_uri,
            settings.public_url,
        )
        yield new_worker(
            parts.temporal,
            settings.task_queue,
            resources,
            graceful_shutdown=timedelta(seconds=settings.graceful_shutdown_s),
            build_id=settings.build_id,
        )


def new_worker(
    temporal: Client,
    task_queue: str,
    resources: Resources,
    *,
    graceful_shutdown: timedelta,
    build_id: str | None = None,
    max_cached_workflows: int = 1000,
) -> "Workers":
    """A worker for connections: their lives, and reading their data.

    Args:
        graceful_shutdown: longer than an exchange may take. The SDK's default of nothing would
            lose a rotated token with every deploy.
        build_id: set: worker deployment versioning, running connections move when they continue
            as new. Unset: unversioned.
        max_cached_workflows: lives kept in memory, some 50 KiB each; the others are replayed.
    """
    versioned = WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id or ""),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )
    lives = Worker(
        temporal,
        task_queue=task_queue,
        workflows=[ConnectionWorkflow],
        activities=activities_of(resources),
        workflow_runner=workflow_runner(),
        graceful_shutdown_timeout=graceful_shutdown,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=AT_ONCE,
        deployment_config=versioned if build_id else None,
        build_id=None if build_id else UNVERSIONED,
    )
    reading = Worker(
        temporal,
        task_queue=reading_queue(task_queue),
        activities=[Syncing(resources).sync_data],
        graceful_shutdown_timeout=graceful_shutdown,
        max_concurrent_activities=READING_AT_ONCE,
        deployment_config=versioned if build_id else None,
        build_id=None if build_id else UNVERSIONED,
    )
    return Workers(patient(lives), reading)


def patient(worker: Worker) -> Worker:
    """Let its workflows compute for as long as ``STANDSTILL_S``; the SDK has no option for it."""
    of_workflows = worker._workflow_worker
    assert of_workflows is not None
    assert hasattr(of_workflows, "_deadlock_timeout_seconds")
    of_workflows._deadlock_timeout_seconds = STANDSTILL_S
    return worker


class Workers:
    """Two workers as one: reading has slots of its own, for a slow provider may take them all."""

    def __init__(self, lives: Worker, reading: Worker) -> None:
        self._both = (lives, reading)
        self._entered = AsyncExitStack()

    @property
    def task_queue(self) -> str:
        """Where the lives are."""
        return self._both[0].task_queue

    async def run(self) -> None:
        """Work until ``shutdown``; where one of the two fails, the other ends, too."""
        running = [asyncio.ensure_future(each.run()) for each in self._both]
        try:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def shutdown(self) -> None:
        """Finish what is being done, and end."""
        await asyncio.gather(*(each.shutdown() for each in self._both))

    async def __aenter__(self) -> "Workers":
        for each in self._both:
            await self._entered.enter_async_context(each)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._entered.aclose()


def activities_of(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Every activity of a life, with what it works with."""
    return [
        Adoption(resources).adopt_connection,
        Authentication(resources).authenticate,
        Authorizations(resources).begin_authorization,
        Connecting(resources).connect_provider,
        CredentialStore(resources).store_credentials,
        KeyReplacement(resources).replace_api_key,
        Refresh(resources).refresh_credentials,
        RevocationAtProvider(resources).revoke_at_provider,
        Shredding(resources).shred_credentials,
        Transitions(resources).announce_expiry,
        Transitions(resources).end_connection,
        Transitions(resources).persist_transition,
        Transitions(resources).rename_connection,
        Transitions(resources).void_authorizations,
        Verification(resources).verify_api_key,
    ]


def workflow_runner() -> SandboxedWorkflowRunner:
    """The SDK's sandbox, with our own modules loaded once for all workflows."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)
