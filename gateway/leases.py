"""Leases over HTTP: an access token for whoever calls the provider, and what if it is refused.

The one place of the gateway where a secret leaves it: an access token, an API key or a link
token, never what renews it. Each is logged by who took it and which generation it was, and by
nothing else.
"""

import logging
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from client.connections import ConnectionsClient
from client.leasing import DEFAULT_MIN_TTL, Lease
from domain.roles import Role
from gateway.options import Options
from gateway.refusals import documented, offering_reauthorization
from gateway.security import Caller, guard
from storage.database import Database

log = logging.getLogger(__name__)

LONGEST_TTL_S: Final = 86_400
LARGEST_GENERATION: Final = (1 << 63) - 1
"""As the database counts them."""


class LeaseRequest(BaseModel):
    """How long the token must be good for."""

    min_ttl_s: float = Field(
        default=DEFAULT_MIN_TTL.total_seconds(), ge=0, le=LONGEST_TTL_S, allow_inf_nan=False
    )


class LeaseAnswer(BaseModel):
    """An access token; of a connection by API key or link token that itself: no end."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_at: datetime | None
    generation: int
    """Say it when the provider refuses the token: ``lease/rejected``."""
    min_ttl_s: float
    """What can be promised of what was asked: at most half the token's lifetime."""


class RejectedToken(BaseModel):
    """Which token the provider refused."""

    generation: int = Field(ge=0, le=LARGEST_GENERATION)


class RejectionAnswer(BaseModel):
    """What came of it, and the generation that counts now: take a lease of it."""

    outcome: Literal["out_of_date", "refreshed", "verified"]
    generation: int


def lease_routes(connections: ConnectionsClient, database: Database, options: Options) -> APIRouter:
    """``/v1/connections/{id}/lease``, for keys of any role but that of the metrics."""
    router = APIRouter(
        prefix="/v1/connections/{connection_id}",
        tags=["leases"],
        responses=documented(404, 409),
    )
    callers = Depends(guard(database, Role.LEASE))

    @router.post("/lease")
    async def lease(
        connection_id: UUID,
        caller: Annotated[Caller, callers],
        response: Response,
        wanted: LeaseRequest | None = None,
    ) -> LeaseAnswer:
        """An access token that is good for a while; refreshed first where it has to be."""
        ttl = timedelta(seconds=(wanted or LeaseRequest()).min_ttl_s)
        with offering_reauthorization(options, connection_id):
            taken = await connections.lease(connection_id, ttl)
        log.info(
            "lease of connection %s, generation %d, by key %s",
            connection_id,
            taken.generation,
            caller.key_id,
        )
        response.headers["Cache-Control"] = "no-store"
        return _answer(taken)

    @router.post("/lease/rejected", dependencies=[callers])
    async def rejected(connection_id: UUID, token: RejectedToken) -> RejectionAnswer:
        """The provider answered 401 to a leased token: have a newer one made.

        What a user gave is verified instead. Answers when the newer token is there, or when the
        provider has confirmed what it was shown.
        """
        with offering_reauthorization(options, connection_id):
            found = await connections.rejected(connection_id, token.generation)
        return RejectionAnswer(outcome=found.outcome, generation=found.generation)

    return router


def _answer(taken: Lease) -> LeaseAnswer:
    return LeaseAnswer(
        access_token=taken.access_token.reveal(),
        expires_at=taken.expires_at,
        generation=taken.generation,
        min_ttl_s=taken.min_ttl.total_seconds(),
    )
