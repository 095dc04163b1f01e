"""Beginning connections over HTTP: stored, with a link for their user; and confirming that user."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from client.connections import ConnectionsClient
from domain.connection import MAX_ALIAS, MAX_SLUG
from domain.errors import ANOTHERS_ID, Conflict, InvalidInput, NotFound, Unreachable
from domain.pages import Pages
from domain.roles import Role
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from gateway.confirming import Confirmations
from gateway.floods import Floods
from gateway.refusals import documented
from gateway.security import guard
from gateway.sessions import Link, Sessions
from storage.database import Database


def _unstored(response: Response) -> None:
    """A link is for one user: no cache on the way keeps it."""
    response.headers["Cache-Control"] = "no-store"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewConnection(_Asked):
    """A connection that is to be; ``connection_id`` makes it safe to ask twice."""

    provider: Annotated[str, Field(min_length=1, max_length=MAX_SLUG)]
    user_id: UUID
    connection_id: UUID | None = None
    alias: Annotated[str | None, Field(max_length=MAX_ALIAS)] = None
    return_url: str | None = None
    """Where the user is sent back to, which then has to confirm them: one of those allowed."""


class Reauthorization(_Asked):
    """Another authorization of a connection there is."""

    return_url: str | None = None


class Confirmation(_Asked):
    """Who came back to the application: the user of its own session, and the proof they brought."""

    user_id: UUID
    proof: Annotated[str, Field(min_length=1, max_length=200)]


class ConnectLink(BaseModel):
    """Send the user, and nobody else, to ``url``."""

    session_id: UUID
    url: str
    expires_at: AwareDatetime

    @classmethod
    def of(cls, link: Link) -> "ConnectLink":
        """The same, to be sent."""
        return cls(session_id=link.session_id, url=link.url, expires_at=link.expires_at)


class Begun(BaseModel):
    """The connection as it is; ``connect``: where its user is to be sent, if anywhere."""

    connection: ConnectionView
    connect: ConnectLink | None


def starting_routes(
    connections: ConnectionsClient,
    sessions: Sessions,
    confirmations: Confirmations,
    database: Database,
    floods: Floods,
) -> APIRouter:
    """``POST`` of connections, of new links for them, and of confirmations."""
    allowed = [Depends(guard(database, Role.APP)), Depends(_unstored)]
    router = APIRouter(prefix="/v1", tags=["connecting"], dependencies=allowed)

    @router.post(
        "/connections", status_code=201, responses={200: {"model": Begun}, **documented(409, 429)}
    )
    async def begin(asked: NewConnection, response: Response) -> Begun:
        """Begin a connection: PENDING, with a link for its user. The same id again: 200."""
        sessions.check_return_url(asked.return_url)
        if not connections.knows(asked.provider):
            raise InvalidInput("there is no such provider")
        connection_id = asked.connection_id or uuid4()
        try:
            known = await connections.view(connection_id)
        except NotFound:
            return await _begin_first(asked, connection_id)
        if (known.user_id, known.provider_slug) != (asked.user_id, asked.provider):
            raise Conflict(ANOTHERS_ID)
        response.status_code = 200
        link = None
        if known.status is ConnectionStatus.PENDING and not known.ending:
            floods.take(connection_id)
            link = ConnectLink.of(await sessions.begin(known, asked.return_url))
        return Begun(connection=known, connect=link)

    async def _begin_first(asked: NewConnection, connection_id: UUID) -> Begun:
        try:
            return await _begin(asked, connection_id)
        except Conflict:
            if await connections.is_stored(connection_id):
                raise
            raise Unreachable("it was begun before, and no worker has stored it yet") from None

    async def _begin(asked: NewConnection, connection_id: UUID) -> Begun:
        attempt_id = None
        offer = connections.offer(asked.provider)
        if not offer.credential_type.is_given:
            begun = await connections.connect(
                asked.provider,
                asked.user_id,
                connection_id=connection_id,
                alias=asked.alias,
                pages=Pages.GATEWAY,
            )
            attempt_id = begun.attempt_id
        else:
            await connections.await_given(
                asked.provider, asked.user_id, connection_id, alias=asked.alias
            )
        link = await sessions.made(connection_id, attempt_id, asked.return_url)
        return Begun(connection=await connections.view(connection_id), connect=ConnectLink.of(link))

    @router.post(
        "/connections/{connection_id}/reauthorize",
        status_code=201,
        responses=documented(404, 409, 429),
    )
    async def reauthorize(connection_id: UUID, asked: Reauthorization) -> ConnectLink:
        """A new link, for the same connection: its user authorizes again, in place."""
        floods.take(connection_id)
        view = await connections.view(connection_id)
        if view.ending or view.status is ConnectionStatus.DISCONNECTED:
            raise Conflict("the connection has been disconnected")
        return ConnectLink.of(await sessions.begin(view, asked.return_url))

    @router.post("/connect-sessions/{session_id}/complete", responses=documented(404, 409))
    async def complete(session_id: UUID, confirmed: Confirmation) -> ConnectionView:
        """Confirm the user who came back: only now the code is exchanged, or what was given stored.

        Repeated, it answers the same. 503: the provider cannot say now whether what was given is
        good, and the session waits for another try.
        """
        return await confirmations.complete(session_id, confirmed.user_id, confirmed.proof)

    return router
