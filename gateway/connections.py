"""Connections over HTTP: what the client SDK does, for programs in any language.

No rule of its own: each route sends one message or reads what is stored. What asks a workflow for
something is counted, so that a caller in a loop is stopped here (``gateway.floods``).
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, computed_field

from client.connections import ConnectionsClient
from domain.explanation import Explanation
from domain.roles import Role
from domain.status import ConnectionStatus
from domain.view import ConnectionView, Receipt
from gateway.credentials import Brought, Slug, bring
from gateway.cursors import LONGEST_CURSOR, Instant, next_cursor, place_of
from gateway.floods import Floods
from gateway.refusals import Documented, documented
from gateway.security import Caller, guard, known_first
from storage.database import Database
from storage.views import Place
from workflows.messages import Alias

PAGE: Final = 50
LARGEST_PAGE: Final = 200

Ending = ConnectionView | Receipt
_ENDING: Final[Documented] = {
    200: {"model": Receipt, "description": "it is over: what was done at the provider and here"},
    202: {"model": ConnectionView, "description": "its end is under way"},
}
_BORN: Final[Documented] = {201: {"model": ConnectionView, "description": "it has been made"}}


class Page(BaseModel):
    """Connections, the newest first, and where to go on; null: these were the last."""

    items: list[ConnectionView]
    next_cursor: str | None


class Explained(Explanation):
    """The explanation, and all of it as a few lines for a person."""

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def text(self) -> str:
        """All of it as a few lines."""
        return super().text


class Renaming(BaseModel):
    """The user's own name for it; null takes it away."""

    alias: Alias


class Sought(BaseModel):
    """Which connections, and how many at once."""

    user_id: UUID | None = None
    provider: Slug | None = None
    status: ConnectionStatus | None = None
    limit: int = Field(default=PAGE, ge=1, le=LARGEST_PAGE)
    cursor: str | None = Field(default=None, max_length=LONGEST_CURSOR)


class AfterConnection(BaseModel):
    """Where a page of connections ended."""

    created_at: Instant
    connection_id: UUID


def connection_routes(
    connections: ConnectionsClient, database: Database, floods: Floods
) -> APIRouter:
    """``/v1/connections``, for the application's backend."""
    router = APIRouter(
        prefix="/v1/connections",
        tags=["connections"],
        responses=documented(),
        route_class=known_first(database),
    )
    applications = guard(database, Role.APP)
    App = Annotated[Caller, Depends(applications)]

    async def unflooded(connection_id: UUID) -> None:
        floods.take(connection_id)

    reading = [Depends(applications)]
    sending = [Depends(applications), Depends(unflooded)]

    @router.get("", dependencies=reading)
    async def find(sought: Annotated[Sought, Query()]) -> Page:
        """Connections that match all that is given, the newest first."""
        found = await connections.list(
            user_id=sought.user_id,
            provider_slug=sought.provider,
            status=sought.status,
            limit=sought.limit + 1,
            before=_before(sought.cursor),
        )
        after = next_cursor(found, sought.limit, _place)
        return Page(items=list(found[: sought.limit]), next_cursor=after)

    @router.get("/{connection_id}", dependencies=reading, responses=documented(404))
    async def view(connection_id: UUID) -> ConnectionView:
        """One connection; it holds no secret."""
        return await connections.view(connection_id)

    @router.get("/{connection_id}/explanation", dependencies=reading, responses=documented(404))
    async def explanation(connection_id: UUID) -> Explained:
        """How it is, since when and why, what was tried, what comes next, and who must act."""
        said = await connections.explain(connection_id)
        return Explained.model_validate(said.model_dump())

    @router.patch("/{connection_id}", dependencies=sending, responses=documented(404, 409, 429))
    async def rename(connection_id: UUID, renaming: Renaming) -> ConnectionView:
        """Give it another name, or none."""
        return await connections.rename(connection_id, renaming.alias)

    @router.post(
        "/{connection_id}/sync",
        status_code=202,
        dependencies=sending,
        responses=documented(404, 409, 429),
    )
    async def sync(connection_id: UUID) -> ConnectionView:
        """Have its data read now; `sync` of the connection tells how it went."""
        await connections.sync_now(connection_id)
        return await connections.view(connection_id)

    @router.post(
        "/{connection_id}/refresh", dependencies=sending, responses=documented(404, 409, 429)
    )
    async def refresh(connection_id: UUID) -> ConnectionView:
        """Have the access token refreshed now, whatever is left of it. For operators."""
        return await connections.refresh(connection_id)

    @router.post("/{connection_id}/revoke", responses=documented(404, 409, 429))
    async def revoke(connection_id: UUID, caller: App) -> ConnectionView:
        """Take the grant back: when this answers no lease succeeds; the provider is told next."""
        floods.take_revocation(connection_id)
        await connections.revoke(connection_id, actor=_actor(caller))
        return await connections.view(connection_id)

    @router.post("/{connection_id}/disconnect", responses=_ENDING | documented(404))
    async def disconnect(connection_id: UUID, caller: App, response: Response) -> Ending:
        """End it for good; ask again to learn whether it is over, and what was done.

        202: no lease succeeds any more, and tokens are being revoked. 200: it is over, and here
        is the receipt.
        """
        ending = await _end(connections, floods, connection_id, caller)
        response.status_code = 200 if isinstance(ending, Receipt) else 202
        return ending

    @router.put(
        "/{connection_id}/credentials",
        dependencies=sending,
        responses=_BORN | documented(409, 429),
    )
    async def credentials(
        connection_id: UUID, brought: Brought, response: Response
    ) -> ConnectionView:
        """Make a connection of credentials there are already, by an id that the caller chooses.

        201: it has been made. 200: it was there, and nothing changed; but what its user gives has
        taken the place of what was no good any more, and another certificate or file always does.
        """
        shown, born = await bring(connections, connection_id, brought)
        response.status_code = 201 if born else 200
        return shown

    return router


async def _end(
    connections: ConnectionsClient, floods: Floods, connection_id: UUID, caller: Caller
) -> Ending:
    shown = await connections.view(connection_id)
    if shown.status is ConnectionStatus.DISCONNECTED:
        return shown.receipt or await connections.receipt(connection_id)
    # Its workflow may have missed it, if Temporal was away just then; once a minute is enough.
    if not shown.ending or floods.may_remind(connection_id):
        await connections.disconnect(connection_id, actor=_actor(caller))
        floods.reminded(connection_id)
        shown = await connections.view(connection_id)
    if shown.status is ConnectionStatus.DISCONNECTED:
        return shown.receipt or await connections.receipt(connection_id)
    return shown


def _actor(caller: Caller) -> str:
    return f"api-key {caller.key_id}"


def _place(view: ConnectionView) -> AfterConnection:
    return AfterConnection(created_at=view.created_at, connection_id=view.connection_id)


def _before(cursor: str | None) -> Place | None:
    place = place_of(AfterConnection, cursor)
    return Place(place.created_at, place.connection_id) if place else None
