"""What the story is told on: a stack of its own on free ports, client apps, workers, a person."""

import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import yaml

from client.connections import Connecting, ConnectionsClient
from client.messaging import Messaging
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.result import Failure
from domain.secret import Secret
from domain.view import ConnectionView
from moorline import assembly, settings
from moorline.demo.people import visit
from moorline.development import Development, developing
from moorline.loopback import Loopback
from moorline.stack import Ports, StackFacts
from moorline.stack.claims import Claim
from moorline.stack.state import StateFolder
from providers.sandbox.behaviour import Behaviour
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Remote
from providers.sandbox.sessions import User

SECRET = "MOORLINE_DEMO_CLIENT_SECRET"
ACCESS_TTL_S = 15
ACCESS_REVOKED = {"error": "invalid_grant", "error_subtype": "access_revoked"}
APPS = {
    "demo-main": Behaviour(rotation="strict", access_ttl_s=ACCESS_TTL_S),
    "demo-import": Behaviour(rotation="strict"),
    "demo-grace": Behaviour(rotation="grace", grace_s=60),
    "demo-strict": Behaviour(rotation="strict"),
    "demo-cli": Behaviour(rotation="strict"),
    "demo-data": Behaviour(rotation="strict"),
    "demo-outage": Behaviour(rotation="strict"),
    "demo-taken": Behaviour(rotation="strict"),
    "demo-cut": Behaviour(rotation="strict"),
    "demo-pages": Behaviour(rotation="strict"),
}
READ = ("demo-data", "demo-cut")
"""Apps whose data is read."""
BROKER = "demo-broker"
"""The sandbox's broker, which takes keys."""
CRASHING = ("demo-grace", "demo-strict", "demo-cut")
"""Apps whose worker is going to be killed: it is one of their own, on a queue of their own."""


@dataclass
class Stage:
    """Everything the steps of the story use."""

    state: Path
    development: Development
    parts: assembly.Parts
    sandbox: Remote
    loopback: Loopback
    user_id: UUID

    @property
    def connections(self) -> ConnectionsClient:
        """The client SDK."""
        return self.parts.connections

    def on_queue(self, slug: str) -> ConnectionsClient:
        """The client SDK, for connections that live on this app's own queue."""
        parts = self.parts
        messaging = Messaging(parts.temporal, queue_of(slug))
        return ConnectionsClient(messaging, parts.database, parts.vault, parts.catalogue)

    async def log_in(self, begun: Connecting) -> ConnectionView:
        """A person opens the start page, logs in and allows; then the code is exchanged."""
        await visit(begun.url)
        return await self.connections.authorize(await self.loopback.received(begun.connection_id))

    async def bring(self, slug: str, user: User = "alice") -> tuple[ConnectionView, str]:
        """Import a grant that was obtained elsewhere, by ``ConnectProvider``; and its grant id."""
        client = self.on_queue(slug)
        minted = await self.sandbox.mint(slug, user)
        secret = {"access_token": Secret(minted.access_token)}
        if minted.refresh_token is not None:
            secret["refresh_token"] = Secret(minted.refresh_token)
        connection_id = uuid4()
        ends = datetime.now(UTC) + timedelta(seconds=minted.expires_in or ACCESS_TTL_S)
        command = ConnectProvider(
            user_id=self.user_id,
            provider_id=provider_id_of(slug),
            provider_slug=slug,
            credentials=await client.seal(connection_id, secret, expires_at=ends),
        )
        match await client.connect_provider(command, connection_id):
            case Failure(error):
                raise RuntimeError(error)
        return await client.view(connection_id), minted.grant_id


def queue_of(slug: str) -> str:
    """The task queue of an app's connections."""
    return f"moorline-{slug}" if slug in CRASHING else "moorline"


@asynccontextmanager
async def staged(state: Path) -> AsyncIterator[Stage]:
    """A fresh stage; what an earlier demo left in the folder is removed."""
    _clear(state)
    providers = state / "providers"
    providers.mkdir(parents=True, mode=0o700)
    facts, ports = StackFacts.read(), Ports.free()
    os.environ[SECRET] = f"mlcanary-secret-{secrets.token_urlsafe(24)}"
    _write_entries(providers, f"http://127.0.0.1:{ports.sandbox}")
    extra = {"MOORLINE_PROVIDERS": str(providers.resolve()), "MOORLINE_LOG_LEVEL": "INFO"}
    async with AsyncExitStack() as stack:
        development = await stack.enter_async_context(developing(state, facts, ports, extra=extra))
        os.environ.update(development.environment)
        sandbox = await stack.enter_async_context(Remote.connect(development.stack.sandbox_url))
        await _register(sandbox, os.environ[SECRET])
        await development.start_worker()
        parts = await stack.enter_async_context(assembly.opened(settings.load(state)))
        loopback = await stack.enter_async_context(
            Loopback.listening(parts.connections, parts.settings.redirect_uri)
        )
        yield Stage(state, development, parts, sandbox, loopback, uuid4())


def _clear(state: Path) -> None:
    """Remove what an earlier demo left, but not what one that runs now is using."""
    Claim.take(StateFolder.open(state).lock).release()
    shutil.rmtree(state)


def _write_entries(folder: Path, url: str) -> None:
    for slug in APPS:
        entry = {
            "slug": slug,
            "name": f"Sandbox ({slug})",
            "type": "oauth2",
            "authorize_url": f"{url}/authorize",
            "token_url": f"{url}/token",
            "revoke_url": f"{url}/revoke",
            "issuer": url,
            "sends_iss": True,
            "client_id": slug,
            "client_secret": f"${{{SECRET}}}",
            "scopes": ["profile"],
            "refusals": [{"fields": ACCESS_REVOKED, "outcome": "access_revoked"}],
            **({"data": {"reader": "sandbox", "url": f"{url}/api"}} if slug in READ else {}),
        }
        (folder / f"{slug}.yaml").write_text(yaml.safe_dump(entry))
    broker = {
        "slug": BROKER,
        "name": "Sandbox broker",
        "type": "api_key",
        "verify_url": f"{url}/broker/me",
        "header": "X-Api-Key",
        "prefix": "",
        "data": {"reader": "sandbox", "url": f"{url}/broker"},
    }
    (folder / f"{BROKER}.yaml").write_text(yaml.safe_dump(broker))


async def _register(sandbox: Remote, secret: str) -> None:
    for slug, behaviour in APPS.items():
        callbacks = ["http://127.0.0.1/callback", f"http://127.0.0.1/callback/{slug}"]
        registration = Registration(secret=secret, redirect_uris=callbacks, behaviour=behaviour)
        await sandbox.register(slug, registration)


def temporal_cli() -> str:
    """The ``temporal`` command of this environment."""
    return str(Path(sys.executable).parent / "temporal")
