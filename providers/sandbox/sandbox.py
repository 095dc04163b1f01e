"""All the state of one sandbox, opened once and handed to its pages and endpoints."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from .authority import Authority
from .clients import Clients
from .codes import Codes
from .finances import Finances
from .grants import Grants
from .keys import Keys
from .ledger import Ledger
from .planting import Faults
from .sessions import Sessions
from .store import Store


@dataclass(frozen=True)
class Sandbox:
    """The parts. `issuer` is None where it follows from the address a request was made to."""

    store: Store
    issuer: str | None
    clients: Clients
    grants: Grants
    codes: Codes
    sessions: Sessions
    ledger: Ledger
    keys: Keys
    finances: Finances
    authority: Authority = field(default_factory=Authority)
    faults: Faults = field(default_factory=Faults)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is told to stop, so that held calls end."""

    @classmethod
    def open(cls, folder: Path | None, issuer: str | None) -> "Sandbox":
        store = Store(folder)
        return cls(
            store,
            issuer,
            Clients(store),
            Grants(store),
            Codes(store),
            Sessions(store),
            Ledger(store),
            Keys(store),
            Finances(store),
        )

    def issuer_at(self, base_url: str) -> str:
        """Who this sandbox says it is, to a request that was made to `base_url`."""
        return self.issuer or base_url.rstrip("/")
