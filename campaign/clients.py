"""How the campaign's own people reach Moorline: the client SDK in this process, and HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from campaign.parts import Parts
from client.codec import EncryptionCodec
from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import connect
from domain.roles import Role
from providers.catalogue import Catalogue
from storage import api_keys
from storage.database import Database, now
from storage.keyring import Keyring
from storage.vault import Vault

HTTP_TIMEOUT_S = 100


@dataclass
class Clients:
    """Both ways; ``read_keys`` again after the keyring has changed."""

    messaging: Messaging
    database: Database
    catalogue: Catalogue
    http: httpx.AsyncClient
    keys: str
    sdk: ConnectionsClient

    def read_keys(self) -> None:
        """Work with the keyring as it is now, as a process that has been restarted would."""
        self.sdk = _sdk(self.messaging, self.database, self.catalogue, self.keys)


@asynccontextmanager
async def connected(parts: Parts) -> AsyncIterator[Clients]:
    """Clients over the links of the clients."""
    environment = parts.client_environment
    payload_keys = environment["MOORLINE_PAYLOAD_KEYS"]
    codec = EncryptionCodec(Keyring.parse(payload_keys, "payload keys"), required=True)
    messaging = Messaging(await connect(codec, environment))
    database = Database(environment["MOORLINE_DATABASE_URL"])
    catalogue = Catalogue.read(Path(environment["MOORLINE_PROVIDERS"]))
    async with database.transaction() as session:
        _, key = api_keys.create(session, Role.LEASE, "a campaign", await now(session))
    keys = environment["MOORLINE_KEYS"]
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(
        base_url=parts.stack.gateway_url, headers=headers, trust_env=False, timeout=HTTP_TIMEOUT_S
    ) as http:
        sdk = _sdk(messaging, database, catalogue, keys)
        yield Clients(messaging, database, catalogue, http, keys, sdk)
    await database.close()


def _sdk(
    messaging: Messaging, database: Database, catalogue: Catalogue, keys: str
) -> ConnectionsClient:
    vault = Vault(Keyring.parse(keys, "keys"))
    return ConnectionsClient(messaging, database, vault, catalogue)
