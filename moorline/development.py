"""A whole Moorline on this machine: the embedded stack, and our own parts beside it.

What ``moorline dev`` keeps running and ``moorline demo`` tells its story on. State, keys and logs
live in one folder; other commands find a running stack by the environment file written there.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import NotConfigured
from moorline.settings import DEV_ENVIRONMENT, given
from moorline.setup import set_up
from moorline.stack import Child, Ports, Stack, StackFacts
from moorline.stack.state import write_private
from providers.catalogue import SHIPPED, Catalogue
from storage import schema
from storage.database import Database
from storage.keyring import new_key

SANDBOX_ENTRIES = ("sandbox.yaml", "sandbox-broker.yaml", "sandbox-linked.yaml")
CODEC_ENDPOINT = "codec-endpoint"
"""The file that says where payloads are decoded, for the ``temporal`` command line."""
KEY_FILES = {"MOORLINE_KEYS": "keys", "MOORLINE_PAYLOAD_KEYS": "payload-keys"}


@dataclass
class Development:
    """A running stack, and what its parts and clients are told."""

    stack: Stack
    environment: Mapping[str, str]
    codec_endpoint: str = field(repr=False)
    """Where payloads are decoded; whoever knows the address may have it done."""

    async def start_worker(self, name: str = "worker", **environment: str) -> Child:
        """A worker as a process of its own."""
        return await self.stack.start_python(
            name,
            ["-m", "moorline", "worker"],
            env={**self.environment, **environment},
            ready="worker ready",
        )


@asynccontextmanager
async def developing(
    state: Path, facts: StackFacts, ports: Ports, *, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Development]:
    """Everything up but the workers: servers, sandbox provider, gateway; migrated and set up.

    Args:
        extra: settings that go beyond those of the stack itself.
    """
    # Temporal's web UI of a development stack can show no key: its address is the secret.
    token = secrets.token_urlsafe(16)
    endpoint = f"http://127.0.0.1:{ports.gateway}/codec/{token}"
    async with Stack(state, facts, ports, codec_endpoint=endpoint) as stack:
        write_private(state / CODEC_ENDPOINT, endpoint + "\n")
        extra = {"MOORLINE_CODEC_TOKEN": token, **(extra or {})}
        environment = _environment(state, stack, extra)
        database = Database(stack.database_url)
        await schema.migrate(database)
        await database.close()
        await set_up(given(), environment)
        await _start_parts(stack, state, environment)
        yield Development(stack, environment, endpoint)


async def _start_parts(stack: Stack, state: Path, environment: Mapping[str, str]) -> None:
    async with asyncio.TaskGroup() as starts:
        starts.create_task(
            stack.start_python(
                "sandbox",
                [
                    "-m",
                    "providers.sandbox",
                    f"--port={stack.ports.sandbox}",
                    f"--state={state / 'sandbox'}",
                ],
                ready=f"{stack.sandbox_url}/healthz",
            )
        )
        starts.create_task(
            stack.start_python(
                "gateway",
                ["-m", "moorline", "gateway"],
                env=environment,
                ready=f"{stack.gateway_url}/healthz",
            )
        )


def _environment(state: Path, stack: Stack, extra: Mapping[str, str]) -> dict[str, str]:
    environment = {
        "MOORLINE_DATABASE_URL": stack.database_url,
        "MOORLINE_REDIRECT_URI": f"http://127.0.0.1:{stack.ports.redirect}/callback",
        "MOORLINE_GATEWAY_PORT": str(stack.ports.gateway),
        "MOORLINE_PUBLIC_URL": stack.gateway_url,
        "MOORLINE_UI_ORIGIN": stack.ui_url,
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_NAMESPACE": stack.facts.temporal.namespace,
        # What a person has configured for other servers must not reach this one.
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_TLS": "false",
        **{name: _key_file(state / file) for name, file in KEY_FILES.items()},
        **({} if "MOORLINE_PROVIDERS" in extra else _sandbox_entries(state, stack.sandbox_url)),
        **extra,
    }
    lines = "".join(f"{name}='{value}'\n" for name, value in environment.items())
    write_private(state / DEV_ENVIRONMENT, lines)
    return environment


def _sandbox_entries(state: Path, url: str) -> dict[str, str]:
    """Where the sandbox's entries are to be read from, if it listens elsewhere than they say.

    Raises:
        NotConfigured: entries are read from a folder of somebody's own, in which they are not.
    """
    own = given().providers
    known = Catalogue.read(own).oauth2("sandbox").issuer
    if known is None or known == url:
        return {}
    if own is not None:
        raise NotConfigured(
            f"the sandbox listens at {url}, and its entries say otherwise: copy "
            f"providers/entries/sandbox*.yaml into {own} (MOORLINE_PROVIDERS) and correct them"
        )
    shipped = known
    folder = state.absolute() / "providers"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in SANDBOX_ENTRIES:
        text = (SHIPPED / name).read_text()
        (folder / name).write_text(text.replace(shipped, url))
    return {"MOORLINE_PROVIDERS": str(folder)}


def _key_file(path: Path) -> str:
    if not path.exists():
        write_private(path, new_key("dev-1") + "\n")
    return f"file:{path.resolve()}"
