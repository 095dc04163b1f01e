"""Handing out access tokens: from PostgreSQL when they are good enough, else by one shared refresh.

A lease is judged in one statement of the database, by its clock. Never an expired token, never a
refresh token, and nothing at all from the moment a revocation or an end is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from client.refusals import needs_user
from domain.credentials import CredentialType
from domain.errors import Conflict, NotFresh, StorageFault
from domain.schedule import capped_min_ttl
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from domain.words import one
from providers.token_answers import is_bearer
from storage import leases
from storage.credentials import SEALED_AS
from storage.database import Database
from storage.leases import Leasable
from storage.vault import Vault

DEFAULT_MIN_TTL: Final = timedelta(seconds=60)
NO_TTL: Final = timedelta(0)
TRIES: Final = 3

_KEPT: Final = frozenset({CredentialType.CERTIFICATE, CredentialType.FILE_IMPORT})

EnsureFresh = Callable[[UUID, int, timedelta, datetime], Awaitable[None]]
"""Has a token newer than this generation made; it is told the instant of the database, too."""


@dataclass(frozen=True)
class Lease:
    """An access token, and how long it can be relied on.

    Of a connection by API key or link token it is that: it has no end, and no disconnect recalls
    it. A certificate or a file is not handed out.

    ``min_ttl`` is what could be promised of what was asked: at most half the token's lifetime.
    """

    access_token: Secret
    expires_at: datetime | None
    generation: int
    min_ttl: timedelta


class Leases:
    """Leases of one process.

    Args:
        ensure_fresh: has a token newer than a generation made; raises ``NotFresh`` if it cannot.
    """

    def __init__(self, database: Database, vault: Vault, ensure_fresh: EnsureFresh) -> None:
        self._database = database
        self._vault = vault
        self._ensure_fresh = ensure_fresh
        self._refreshing: dict[tuple[UUID, int], asyncio.Task[None]] = {}

    async def lease(self, connection_id: UUID, min_ttl: timedelta = DEFAULT_MIN_TTL) -> Lease:
        """An access token that is good for at least ``min_ttl``.

        Raises:
            NotFound: no such connection.
            NeedsUser: only the user can bring it back.
            Conflict: it is pending, its end has been asked for, or it has nothing to hand out.
            NotFresh: no token that lives long enough, for now.
            StorageFault: the stored secret does not open.
        """
        for _ in range(TRIES):
            async with self._database.transaction() as session:
                found = await leases.read(session, connection_id)
            promised = _judge(found, min_ttl)
            if promised is not None:
                return self._open(found, promised)
            await self._refresh_once(connection_id, found, min_ttl)
        raise NotFresh("there is no token that lives long enough, for now")

    async def _refresh_once(self, connection_id: UUID, found: Leasable, min_ttl: timedelta) -> None:
        key = (connection_id, found.credentials.generation)
        if key not in self._refreshing:
            work = self._ensure_fresh(*key, min_ttl, found.now)
            task = asyncio.ensure_future(work)
            self._refreshing[key] = task
            task.add_done_callback(lambda _: self._refreshing.pop(key, None))
        # One caller that gives up does not take the refresh from the others.
        await asyncio.shield(self._refreshing[key])

    def _open(self, found: Leasable, promised: timedelta) -> Lease:
        if found.data_key is None or found.credentials.sealed is None:
            raise StorageFault("the connection's secrets are not there")
        generation = found.credentials.generation
        key = self._vault.unwrap(found.data_key)
        secret = key.open(SEALED_AS, generation, found.credentials.sealed)
        kind = CredentialType(found.connection.credential_type)
        token = secret["api_key"] if kind is CredentialType.API_KEY else secret["access_token"]
        return Lease(token, found.credentials.expires_at, generation, promised)


def _judge(found: Leasable, min_ttl: timedelta) -> timedelta | None:
    """The remaining life that can be promised; None: a newer token is needed first."""
    connection, credentials = found.connection, found.credentials
    if connection.ended_at is not None:
        raise Conflict("the connection has been disconnected")
    if not found.available:
        raise needs_user(ConnectionStatus(connection.status), StatusReason(connection.reason))
    kind = CredentialType(connection.credential_type)
    if kind in _KEPT:
        raise Conflict(f"{one(kind)} is not handed out: it is used here, to read data")
    if not is_bearer(credentials.token_type):
        raise NotFresh("the provider issues tokens of a type that cannot be handed out")
    promised = capped_min_ttl(min_ttl, found.lifetime)
    if found.remaining is None:
        return promised
    enough = found.remaining >= promised and found.remaining > timedelta(0)
    return promised if enough else None
