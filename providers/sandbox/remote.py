"""Steering a sandbox from outside, typed: the control API as a test or the demo calls it.

Speaks HTTP only, so it works the same for a sandbox in this process and in another. It is no OAuth
client: what an app would do is for the app under test to do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Literal, Self

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter

from .clients import Registration
from .grants import Grant
from .ledger import Entry
from .sessions import User
from .target import EndpointName

entries = TypeAdapter(list[Entry])
grants = TypeAdapter(list[Grant])


class Minted(BaseModel):
    """The first tokens of a grant that went through no browser."""

    grant_id: str
    access_token: str
    refresh_token: str | None = None
    expires_in: int | None = None
    token_type: str
    scope: str


class NewKey(BaseModel):
    """A key, for once."""

    key_id: str
    api_key: str


class NewCertificate(BaseModel):
    """A certificate and its key, for once, and who has issued it; all PEM."""

    certificate_id: str
    client_certificate: str
    private_key: str
    authority: str


class Truth(BaseModel):
    """What a reader must have found in an account."""

    id: str
    currency: str
    balance: Decimal
    transactions: int
    sum: Decimal
    holdings: int
    value: Decimal


truths = TypeAdapter(list[Truth])


class Remote:
    """The control API at a base URL. A call that is refused raises `httpx.HTTPStatusError`."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self.base_url = base_url
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connect(cls, base_url: str) -> AsyncIterator[Self]:
        async with httpx.AsyncClient(trust_env=False) as http:
            yield cls(base_url, http)

    async def register(self, client_id: str, registration: Registration) -> None:
        body = registration.model_dump(mode="json")
        await self._call("PUT", f"clients/{client_id}", body)

    async def behave(self, client_id: str, **fields: JsonValue) -> None:
        """Change some fields of `Behaviour`."""
        await self._call("PATCH", f"clients/{client_id}/behaviour", fields)

    async def change_secret(self, client_id: str, secret: str) -> None:
        await self._call("PATCH", f"clients/{client_id}/secret", {"secret": secret})

    async def mint(
        self,
        client_id: str = "moorline-dev",
        user: User = "alice",
        *,
        scope: str = "profile",
        access_expired: bool = False,
    ) -> Minted:
        who: dict[str, JsonValue] = {"client_id": client_id, "user": user}
        what: dict[str, JsonValue] = {"scope": scope, "access_expired": access_expired}
        answer = await self._call("POST", "grants", {**who, **what})
        return Minted.model_validate_json(answer.content)

    async def authorize(
        self, url: str, user: User = "alice", decision: Literal["allow", "deny"] = "allow"
    ) -> str:
        """Log in and decide as a person would; where the browser would be sent to."""
        body: dict[str, JsonValue] = {"url": url, "user": user, "decision": decision}
        answer = await self._call("POST", "authorize", body)
        return str(answer.json()["redirect"])

    async def grant(self, grant_id: str) -> Grant:
        answer = await self._call("GET", f"grants/{grant_id}")
        return Grant.model_validate_json(answer.content)

    async def grants(self) -> list[Grant]:
        answer = await self._call("GET", "grants")
        return grants.validate_python(answer.json()["grants"])

    async def take_away(self, grant_id: str) -> None:
        """The user takes access away."""
        await self._call("DELETE", f"grants/{grant_id}")

    async def new_key(self, user: User = "alice") -> NewKey:
        """A key to the broker, as the user would make it."""
        answer = await self._call("POST", "keys", {"user": user})
        return NewKey.model_validate_json(answer.content)

    async def new_link(self, user: User = "alice") -> NewKey:
        """A link token, as the user is shown it who has linked an account."""
        answer = await self._call("POST", "keys", {"user": user, "kind": "link"})
        return NewKey.model_validate_json(answer.content)

    async def new_certificate(
        self, user: User = "alice", lifetime_s: int = 31_536_000
    ) -> NewCertificate:
        """A client certificate, as whoever runs the provider would issue it."""
        answer = await self._call("POST", "certificates", {"user": user, "lifetime_s": lifetime_s})
        return NewCertificate.model_validate_json(answer.content)

    async def revoke_certificate(self, certificate_id: str) -> None:
        """The provider does not take it any more."""
        await self._call("DELETE", f"certificates/{certificate_id}")

    async def revoke_key(self, key_id: str) -> None:
        """The user deletes a key, or takes a link token back."""
        await self._call("DELETE", f"keys/{key_id}")

    async def grow(self, user: User, count: int, account_id: str | None = None) -> None:
        """So many more transactions in one account, or in each of them."""
        body: dict[str, JsonValue] = {"count": count, "account_id": account_id}
        await self._call("POST", f"users/{user}/transactions", body)

    async def finances(self, user: User = "alice") -> list[Truth]:
        """Counts and sums of each account."""
        answer = await self._call("GET", f"users/{user}/finances")
        return truths.validate_python(answer.json()["accounts"])

    async def plant(self, endpoint: EndpointName, kind: str, **fields: JsonValue) -> str:
        """Add a fault; its id."""
        answer = await self._call("POST", "faults", {"endpoint": endpoint, "kind": kind, **fields})
        return str(answer.json()["id"])

    async def clear(self, fault_id: str | None = None) -> None:
        """Clear one fault or all, and release the calls that they hold."""
        await self._call("DELETE", "faults" if fault_id is None else f"faults/{fault_id}")

    async def log(
        self, after: int = 0, *, grant_id: str | None = None, endpoint: EndpointName | None = None
    ) -> list[Entry]:
        sought = {"after": after, "grant_id": grant_id, "endpoint": endpoint}
        params = {name: value for name, value in sought.items() if value is not None}
        answer = await self._call("GET", "log", params=params)
        return entries.validate_python(answer.json()["entries"])

    async def logged(
        self,
        fact: Callable[[Entry], bool],
        *,
        grant_id: str | None = None,
        endpoint: EndpointName | None = None,
        within_s: float = 10,
    ) -> Entry:
        """Wait until some entry of the log shows the fact; that entry."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for entry in await self.log(grant_id=grant_id, endpoint=endpoint):
                if fact(entry):
                    return entry
            await asyncio.sleep(0.02)
        raise TimeoutError("the sandbox's log does not show it")

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, JsonValue] | None = None,
        params: dict[str, str | int] | None = None,
    ) -> httpx.Response:
        url = f"{self.base_url}/_sandbox/{path}"
        answer = await self._http.request(method, url, json=body, params=params)
        return answer.raise_for_status()
