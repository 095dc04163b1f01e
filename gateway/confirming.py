"""Confirming the user of a connect session, and using what their browser brought.

The rule behind it: no code is exchanged, and nothing that was given is stored, before the user who
began is confirmed. With a return URL the application confirms, by the proof that the browser
brought it; without one the browser that opened the link is confirmed by its cookie (the weaker
mode).
"""

import asyncio
import logging
from typing import Final
from uuid import UUID

from client.authorizations import Received
from client.connections import ConnectionsClient
from client.refusals import NotVerified
from domain.errors import Conflict, MoorlineError, NotFound, NotFresh, Unreachable
from domain.status import StatusReason
from domain.view import ConnectionView
from gateway.problems import Refused
from storage import connect_sessions, session_ends
from storage.database import Database, now
from storage.gateway_tables import ConnectSessionRow

log = logging.getLogger(__name__)

CAME_TO_NOTHING: Final = "this connect session has come to nothing; begin anew"
ENDS_WITHIN_S: Final = 20
"""How long a gateway that is told to stop waits for what it has begun."""


class Confirmations:
    """The sessions of one gateway whose user is, or is to be, confirmed."""

    def __init__(self, connections: ConnectionsClient, database: Database) -> None:
        self._connections = connections
        self._database = database
        self._finishing: dict[UUID, asyncio.Task[ConnectionView]] = {}
        """By what is being used: an attempt, or what was given and is kept."""

    async def complete(self, session_id: UUID, user_id: UUID, proof: str) -> ConnectionView:
        """The application says whose browser came back to it; asked again, the same is answered.

        Raises:
            NotFound: no such session.
            Refused: another user's, or the proof is not this session's.
            Conflict: it is too late, or came to nothing.
        """
        async with self._database.transaction() as session:
            at = await now(session)
            held = await session_ends.hold(session, session_id)
            row = held.row
            refusal: Exception | None = None
            if not connect_sessions.is_proven(row, proof):
                await session_ends.note(session, held, "the proof is of another session", at)
                refusal = Refused(403, "not-confirmed", "the proof is not of this session")
            elif held.connection.user_id != user_id:
                await session_ends.burn(session, held, StatusReason.USER_NOT_CONFIRMED, at)
                detail = "another user began this session; it is over now"
                refusal = Refused(403, "not-confirmed", detail)
            elif row.reason is not None:
                refusal = Conflict(CAME_TO_NOTHING)
            elif not connect_sessions.confirm(row, at):
                refusal = Conflict("the time to confirm the user is over; begin anew")
        if refusal is not None:
            raise refusal
        if row.finished_at is not None:
            return await self._connections.view(row.connection_id)
        return await self.finished(row)

    def go_on(self, row: ConnectSessionRow) -> "asyncio.Task[ConnectionView]":
        """Exchange or store what this session brought; once, however many ask."""
        brought = row.attempt_id or row.staged_id
        assert brought is not None  # a session is of one kind or the other
        if brought not in self._finishing:
            task = asyncio.ensure_future(self._finish(row))
            self._finishing[brought] = task
            task.add_done_callback(lambda done: self._end(row.id, brought, done))
        return self._finishing[brought]

    async def finished(self, row: ConnectSessionRow) -> ConnectionView:
        """What has come of a confirmed session; whoever waits may go away, and it goes on."""
        return await asyncio.shield(self.go_on(row))

    def take_up(self, row: ConnectSessionRow) -> None:
        """Carry on where a gateway has died after the confirmation: used again, it changes nothing.

        For the workflow uses a code once, and what was given once.
        """
        if row.confirmed_at is not None and row.finished_at is None:
            self.go_on(row)

    async def aclose(self) -> None:
        """Wait for what has been begun, for a while; the rest is taken up by another gateway."""
        if self._finishing:
            await asyncio.wait(list(self._finishing.values()), timeout=ENDS_WITHIN_S)

    def _end(self, session_id: UUID, brought: UUID, done: "asyncio.Task[ConnectionView]") -> None:
        self._finishing.pop(brought, None)
        error = None if done.cancelled() else done.exception()
        if isinstance(error, MoorlineError):
            log.info("connect session %s came to nothing: %s", session_id, error)
        elif error is not None:
            log.error("connect session %s came to nothing", session_id, exc_info=error)

    async def _finish(self, row: ConnectSessionRow) -> ConnectionView:
        try:
            if row.attempt_id is not None:
                received = Received(row.connection_id, row.attempt_id)
                view = await self._connections.authorize(received)
            else:
                assert row.staged_id is not None  # see ``go_on``
                view = await self._connections.use(row.connection_id, row.staged_id)
        except NotVerified:
            if row.return_url is None:  # its browser may bring another; else the application asks
                await self._settle(row, failed=True)
            raise
        except (Unreachable, NotFresh):
            raise  # not now, or it may have been heard all the same
        except MoorlineError as error:
            await self._settle(row, failed=True)
            if isinstance(error, NotFound):  # it was destroyed meanwhile
                raise Conflict(CAME_TO_NOTHING) from None
            raise
        await self._settle(row, failed=False)
        return view

    async def _settle(self, row: ConnectSessionRow, *, failed: bool) -> None:
        async with self._database.transaction() as session:
            held = await session_ends.hold(session, row.id)
            at = await now(session)
            if held.row.staged_id != row.staged_id:
                return  # settled elsewhere, and perhaps another has been given since
            if not failed:
                await session_ends.succeed(held, at)
            elif held.row.attempt_id is None:
                await session_ends.refuse_given(session, held, at)
            else:
                await session_ends.look_after(session, held, at)
