"""What happens in a connect session: begun, opened by one browser, answered, confirmed, finished.

The rule behind all of it: no code is exchanged and no key stored before the user who began is
confirmed. With a return URL the application confirms, by the proof that the browser brought it;
without one the browser that opened the link is confirmed by its cookie (the weaker mode).
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from client.authorizations import Received
from client.connections import ConnectionsClient
from domain.credentials import CredentialType
from domain.errors import Conflict, InvalidInput, NotFound
from domain.pages import Pages
from domain.secret import Secret
from domain.status import StatusReason
from domain.view import ConnectionView
from gateway.options import Options
from gateway.problems import Refused
from storage import attempts, connect_sessions
from storage.attempts import AttemptStatus
from storage.database import Database, now
from storage.gateway_tables import ConnectSessionRow
from storage.tables import AttemptRow, ConnectionRow

log = logging.getLogger(__name__)

KEY_WINDOW: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class Link:
    """A session has been made; the user goes to ``url``."""

    session_id: UUID
    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Shown:
    """What a page shows of a session."""

    session: ConnectSessionRow
    connection: ConnectionRow


class Sessions:
    """The connect sessions of one gateway."""

    def __init__(
        self, connections: ConnectionsClient, database: Database, options: Options
    ) -> None:
        self._connections = connections
        self._database = database
        self._options = options
        self._finishing: dict[UUID, asyncio.Task[ConnectionView]] = {}

    # -- the application begins ----------------------------------------------------------------

    async def begin(self, view: ConnectionView, return_url: str | None) -> Link:
        """A new session for a connection, first or anew.

        Raises:
            InvalidInput: the return URL is none of those allowed.
        """
        self.check_return_url(return_url)
        attempt_id = None
        if view.credential_type is CredentialType.OAUTH2:
            begun = await self._connections.begin_authorization(view.connection_id, Pages.GATEWAY)
            attempt_id = begun.attempt_id
        return await self.made(view.connection_id, attempt_id, return_url)

    async def made(
        self, connection_id: UUID, attempt_id: UUID | None, return_url: str | None
    ) -> Link:
        """A session for an attempt that was begun, or for a key."""
        async with self._database.transaction() as session:
            at = await now(session)
            expires_at = at + KEY_WINDOW
            if attempt_id is not None:
                expires_at = (await attempts.get(session, attempt_id)).expires_at
            row, link = connect_sessions.new(
                session,
                connection_id,
                attempt_id=attempt_id,
                return_url=return_url,
                at=at,
                expires_at=expires_at,
            )
        url = f"{self._options.public_url}/connect/{link.reveal()}"
        return Link(row.id, url, row.expires_at)

    def check_return_url(self, return_url: str | None) -> None:
        """Whether users may be sent back there: only to what is allowed, letter by letter.

        Raises:
            InvalidInput: not there.
        """
        if return_url is not None and return_url not in self._options.return_urls:
            raise InvalidInput("this return URL is not in MOORLINE_RETURN_URLS")

    # -- the browser comes ---------------------------------------------------------------------

    async def of_link(self, link: str) -> Shown:
        """The session of a link that may still be opened.

        Raises:
            NotFound: never given out.
            Conflict: its time is over.
        """
        async with self._database.transaction() as session:
            row = await connect_sessions.by_link(session, link)
            connect_sessions.expect_open(row, await now(session))
            return Shown(row, await session.get_one(ConnectionRow, row.connection_id))

    async def of_browser(self, session_id: UUID, cookie: str | None) -> Shown:
        """The session that this browser has opened.

        Raises:
            NotFound: there is none, or it is another browser's.
        """
        async with self._database.transaction() as session:
            row = await connect_sessions.get(session, session_id)
            if not connect_sessions.is_bound_to(row, cookie):
                raise NotFound("this session belongs to another browser")
            return Shown(row, await session.get_one(ConnectionRow, row.connection_id))

    async def open(self, link: str, cookies: dict[str, str]) -> tuple[Shown, str]:
        """The user goes on: the session belongs to this browser; the cookie it is known by.

        Raises:
            NotFound, Conflict: it cannot be opened, or not by this browser.
        """
        async with self._database.transaction() as session:
            row = await connect_sessions.by_link(session, link, lock=True)
            cookie = cookies.get(self.cookie_name(row.id))
            cookie = connect_sessions.open_for(row, cookie, await now(session))
            return Shown(row, await session.get_one(ConnectionRow, row.connection_id)), cookie

    async def come_back(self, address: str, cookies: dict[str, str]) -> ConnectSessionRow:
        """The provider has sent a browser back; the session it belongs to.

        However often the same browser brings the same answer, it is taken in once.

        Raises:
            InvalidInput, NotFound, Conflict: it is none of ours, or not this browser's.
        """
        found: list[ConnectSessionRow] = []

        async def admit(session: AsyncSession, attempt: AttemptRow) -> None:
            row = await connect_sessions.of_attempt(session, attempt.id)
            cookie = cookies.get(self.cookie_name(row.id)) if row else None
            if row is None or cookie is None or not connect_sessions.is_bound_to(row, cookie):
                raise InvalidInput("another browser than began it has brought the answer")
            found.append(row)

        try:
            received = await self._connections.receive_redirect(address, admit=admit)
        except Conflict:
            if not found:
                raise
            return found[0]  # again: what came of the first time is shown
        if found[0].return_url is None or await self._is_refused(received.attempt_id):
            self.go_on(found[0])
        else:
            async with self._database.transaction() as session:
                row = await connect_sessions.get(session, found[0].id, lock=True)
                cookie = cookies[self.cookie_name(row.id)]
                connect_sessions.hold_proof(row, cookie, await now(session))
        return found[0]

    async def take_key(self, shown: Shown, cookie: str, api_key: Secret) -> None:
        """The user has given a key on our page: kept until confirmed, or used at once.

        Raises:
            Conflict: it is refused, or the session is over.
        """
        row = shown.session
        staged_id = await self._connections.keep_key(row.connection_id, api_key)
        async with self._database.transaction() as session:
            row = await connect_sessions.get(session, row.id, lock=True)
            at = await now(session)
            connect_sessions.open_for(row, cookie, at)
            before, row.staged_id = row.staged_id, staged_id
            if row.return_url is not None:
                connect_sessions.hold_proof(row, cookie, at)
        if before is not None:
            await self._connections.forget_key(before)
        if row.return_url is None:
            await self._finished(row)

    def cookie_name(self, session_id: UUID) -> str:
        """One for each session; ``__Host-`` binds it to this very host, where there is https."""
        prefix = "__Host-" if self._options.is_secure else ""
        return f"{prefix}moorline-{session_id.hex}"

    def way_back(self, row: ConnectSessionRow, cookie: str) -> str | None:
        """The application's address with what it needs to confirm the user; None: our own page."""
        if row.return_url is None:
            return None
        query = {"session": str(row.id)}
        if row.proof_hash is not None and row.reason is None:
            query["proof"] = connect_sessions.proof_of(row, cookie)
        joint = "&" if "?" in row.return_url else "?"
        return f"{row.return_url}{joint}{urlencode(query)}"

    # -- confirmed, and finished ---------------------------------------------------------------

    async def complete(self, session_id: UUID, user_id: UUID, proof: str) -> ConnectionView:
        """The application says whose browser came back to it: only now anything is exchanged.

        Raises:
            NotFound: no such session.
            Refused: another user's, or the proof is not this session's.
            Conflict: it is too late, was done before, or came to nothing.
        """
        async with self._database.transaction() as session:
            row = await connect_sessions.get(session, session_id, lock=True)
            at = await now(session)
            if row.finished_at is not None:
                raise Conflict("this connect session is over")
            if not connect_sessions.is_proven(row, proof):
                raise Refused(403, "not-confirmed", "the proof is not of this session")
            if row.proof_until is None or at >= row.proof_until:
                raise Conflict("the time to confirm the user is over; begin anew")
            connection = await session.get_one(ConnectionRow, row.connection_id)
            is_theirs = connection.user_id == user_id
            if not is_theirs:
                await self._burn(session, row, at)
        if not is_theirs:
            if row.staged_id is not None:
                await self._connections.forget_key(row.staged_id)
            raise Refused(403, "not-confirmed", "another user began this session; it is over now")
        return await self._finished(row)

    async def _burn(self, session: AsyncSession, row: ConnectSessionRow, at: datetime) -> None:
        """Somebody else's browser came back: whatever it brought must never be used."""
        reason = StatusReason.USER_NOT_CONFIRMED
        log.warning("connect session %s: another user came back than began it", row.id)
        connect_sessions.finish(row, reason, at)
        if row.attempt_id is not None:
            attempt = await attempts.get(session, row.attempt_id, lock=True)
            if attempt.finished_at is None:
                attempts.finish(attempt, AttemptStatus.FAILED, reason, at)

    def go_on(self, row: ConnectSessionRow) -> "asyncio.Task[ConnectionView]":
        """Exchange or store what this session brought; once, however many ask."""
        if row.id not in self._finishing:
            task = asyncio.ensure_future(self._finish(row))
            self._finishing[row.id] = task
            task.add_done_callback(lambda done: self._end(row.id, done))
        return self._finishing[row.id]

    async def _finished(self, row: ConnectSessionRow) -> ConnectionView:
        return await asyncio.shield(self.go_on(row))

    def _end(self, session_id: UUID, done: "asyncio.Task[ConnectionView]") -> None:
        self._finishing.pop(session_id, None)
        if not done.cancelled() and done.exception() is not None:
            log.info("connect session %s came to nothing: %s", session_id, done.exception())

    async def _finish(self, row: ConnectSessionRow) -> ConnectionView:
        try:
            if row.attempt_id is not None:
                received = Received(row.connection_id, row.attempt_id)
                view = await self._connections.authorize(received)
            else:
                assert row.staged_id is not None  # a session is of one kind or the other
                view = await self._connections.use_key(row.connection_id, row.staged_id)
        except Conflict:
            await self._settle(row.id, failed=True)
            raise
        await self._settle(row.id, failed=False)
        return view

    async def _settle(self, session_id: UUID, *, failed: bool) -> None:
        async with self._database.transaction() as session:
            row = await connect_sessions.get(session, session_id, lock=True)
            reason = None
            if failed and row.attempt_id is not None:
                attempt = await attempts.get(session, row.attempt_id)
                reason = StatusReason(attempt.reason or StatusReason.UNUSABLE_ANSWER)
            elif failed and row.return_url is None:
                row.staged_id = None
                return  # a key that is not taken: the user may give another
            elif failed:
                reason = StatusReason.KEY_REFUSED
            if row.finished_at is None:
                connect_sessions.finish(row, reason, await now(session))

    async def _is_refused(self, attempt_id: UUID) -> bool:
        async with self._database.transaction() as session:
            return (await attempts.get(session, attempt_id)).status == AttemptStatus.FAILED

    async def take_up(self, row: ConnectSessionRow) -> None:
        """Carry on where a gateway has died between the answer and its exchange."""
        if row.attempt_id is None or row.finished_at is not None or row.return_url is not None:
            return
        async with self._database.transaction() as session:
            parked = (await attempts.get(session, row.attempt_id)).status == AttemptStatus.PARKED
        if parked:
            self.go_on(row)
