"""What users give us, of each kind: the sandbox's entries for it, and bringing it by import."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import yaml
from pydantic import JsonValue

from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.credentials import CredentialType
from domain.result import Result, Success
from domain.secret import Secret
from providers.sandbox import create_app
from providers.sandbox.remote import Remote
from providers.sandbox.serving import serve, serve_mutual_tls
from tests.world import World, until

LINKED: Final = "linked"
"""The slug of the sandbox's data as a link token opens it."""


def write_linked(folder: Path, base_url: str, **changes: JsonValue) -> Path:
    """A provider entry for the sandbox's linked accounts; the folder it is in."""
    entry: dict[str, JsonValue] = {
        "slug": LINKED,
        "name": "Linked",
        "type": "link_token",
        "verify_url": f"{base_url}/linked/me",
        "header": "X-Link-Token",
        "prefix": "",
        "data": {"reader": "sandbox", "url": f"{base_url}/linked"},
        **changes,
    }
    (folder / f"{LINKED}.yaml").write_text(yaml.safe_dump(entry))
    return folder


FILES: Final = "files"
"""The slug of a bank whose users bring files."""
STATEMENT: Final = """\
account,booked_on,amount,currency,description,balance
DE02 1234 5678 9012,2026-10-01,1200.50,EUR,Salary,1200.50
DE02 1234 5678 9012,2026-10-02,-7.25,EUR,"Coffee, mlcanary-file",1193.25
Savings,2026-10-02,10,EUR,=HYPERLINK("http://evil"),10
DE02 1234 5678 9012,2026-10-02,-7.25,EUR,"Coffee, mlcanary-file",1186.00
"""


def write_files(folder: Path, **changes: JsonValue) -> Path:
    """A provider entry for a bank whose users bring files; the folder it is in."""
    entry: dict[str, JsonValue] = {"slug": FILES, "name": "Paper Bank", "type": "file", **changes}
    (folder / f"{FILES}.yaml").write_text(yaml.safe_dump(entry))
    return folder


CERTIFIED: Final = "certified"
"""The slug of the sandbox's data as a client certificate opens it."""


@dataclass(frozen=True)
class Certifier:
    """A sandbox of its own that knows its users by their certificates."""

    remote: Remote
    url: str

    async def parts(self, lifetime_s: int = 31_536_000) -> tuple[dict[str, str], str]:
        """What a user gives, and the certificate's id."""
        made = await self.remote.new_certificate(lifetime_s=lifetime_s)
        parts = {"client_certificate": made.client_certificate, "private_key": made.private_key}
        return parts, made.certificate_id

    async def write(self, folder: Path, **changes: JsonValue) -> Path:
        """A provider entry for it; the folder it is in."""
        authority = folder / "authority.pem"
        authority.write_text((await self.remote.new_certificate()).authority)
        entry: dict[str, JsonValue] = {
            "slug": CERTIFIED,
            "name": "Vault Bank",
            "type": "certificate",
            "verify_url": f"{self.url}/mutual/me",
            "ca": f"file:{authority}",
            "data": {"reader": "sandbox", "url": f"{self.url}/mutual"},
            **changes,
        }
        (folder / f"{CERTIFIED}.yaml").write_text(yaml.safe_dump(entry))
        return folder


@asynccontextmanager
async def certifying() -> AsyncIterator[Certifier]:
    """Such a sandbox, for as long as the block lasts."""
    app = create_app(None)
    async with (
        serve(app) as url,
        serve_mutual_tls(app) as tls_url,
        Remote.connect(url) as remote,
    ):
        yield Certifier(remote, tls_url)


def file_of(content: str) -> dict[str, str]:
    """The parts of a file."""
    return {"file_content": content, "file_format": "csv", "file_name": "export.csv"}


def secrets_of(parts: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in parts.items()}


async def bring(
    world: World,
    parts: Mapping[str, str],
    kind: CredentialType,
    slug: str,
    connection_id: UUID | None = None,
) -> Result[UUID, str]:
    """``ConnectProvider`` with what a user gave."""
    connection_id = connection_id or uuid4()
    sealed = await world.connections.seal(connection_id, secrets_of(parts), kind)
    command = ConnectProvider(
        user_id=world.user_id,
        provider_id=provider_id_of(slug),
        provider_slug=slug,
        credentials=sealed,
    )
    return await world.connections.connect_provider(command, connection_id)


async def brought(world: World, parts: Mapping[str, str], kind: CredentialType, slug: str) -> UUID:
    """A connection that was born ACTIVE with it."""
    result = await bring(world, parts, kind, slug)
    assert isinstance(result, Success), result
    return result.value


async def read_through(world: World, connection_id: UUID, times: int = 1) -> None:
    """Wait until all its data has been read so often."""

    async def read() -> bool:
        sync = (await world.connections.view(connection_id)).sync
        return sync is not None and sync.completed >= times

    await until(read)
