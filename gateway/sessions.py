"""A user's way through a connect session: begun, opened by one browser, answered.

What the browser brings is kept, and not used: see ``gateway.confirming``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from client.connections import ConnectionsClient
from domain.errors import Conflict, InvalidInput, NotFound
from domain.pages import Pages
from domain.secret import Secret
from domain.view import ConnectionView
from gateway.confirming import Confirmations
from gateway.options import Options
from storage import attempts, connect_sessions, session_ends, staging
from storage.attempts import AttemptStatus
from storage.database import Database, now
from storage.gateway_tables import ConnectSessionRow
from storage.tables import AttemptRow, ConnectionRow

FORM_WINDOW: Final = timedelta(minutes=30)


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
        self,
        connections: ConnectionsClient,
        database: Database,
        options: Options,
        confirmations: Confirmations,
    ) -> None:
        self._connections = connections
        self._database = database
        self._options = options
        self._confirmations = confirmations

    # -- the application begins ----------------------------------------------------------------

    async def begin(self, view: ConnectionView, return_url: str | None) -> Link:
        """A new session for a connection, first or anew.

        Raises:
            InvalidInput: the return URL is none of those allowed.
        """
        self.check_return_url(return_url)
        attempt_id = None
        if not view.credential_type.is_given:
            begun = await self._connections.begin_authorization(view.connection_id, Pages.GATEWAY)
            attempt_id = begun.attempt_id
        return await self.made(view.connection_id, attempt_id, return_url)

    async def made(
        self, connection_id: UUID, attempt_id: UUID | None, return_url: str | None
    ) -> Link:
        """A session for an attempt that was begun, or for a form."""
        async with self._database.transaction() as session:
            at = await now(session)
            expires_at = at + FORM_WINDOW
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

    async def come_back(self, address: str, cookies: dict[str, str]) -> UUID:
        """The provider has sent a browser back; the id of the session it belongs to.

        However often the same browser brings the same answer, it is taken in once.

        Raises:
            InvalidInput, NotFound, Conflict: it is none of ours, not this browser's, or too late.
        """
        session_id: UUID | None = None
        is_again = False

        async def admit(session: AsyncSession, attempt: AttemptRow) -> None:
            nonlocal session_id, is_again
            row = await connect_sessions.of_attempt(session, attempt.id)
            cookie = cookies.get(self.cookie_name(row.id)) if row else None
            if row is None or cookie is None or not connect_sessions.is_bound_to(row, cookie):
                raise InvalidInput("another browser than began it has brought the answer")
            session_id, is_again = row.id, attempt.status != AttemptStatus.PENDING
            connect_sessions.answered(row, cookie, await now(session))

        try:
            await self._connections.receive_redirect(address, admit=admit)
        except Conflict:
            if session_id is None or not is_again:
                raise
            return session_id  # what has come of it is shown
        assert session_id is not None  # it was admitted
        async with self._database.transaction() as session:
            held = await session_ends.hold(session, session_id)
            await session_ends.look_after(session, held, await now(session))  # it may be a refusal
        if held.row.confirmed_at is not None or held.row.finished_at is not None:
            self._confirmations.go_on(held.row)
        return session_id

    async def take(self, shown: Shown, cookie: str, secret: Mapping[str, Secret]) -> None:
        """The user has filled in our form: kept until confirmed, or used at once.

        Raises:
            Conflict: it is refused, another is being used, or the session is over.
            NotFresh: whether it is good cannot be told now.
        """
        row = shown.session

        async def admit(session: AsyncSession, staged_id: UUID) -> None:
            current = await connect_sessions.get(session, row.id, lock=True)
            at = await now(session)
            connect_sessions.open_for(current, cookie, at)
            if current.confirmed_at is not None:
                raise Conflict("one has been given already; it is being looked at")
            if current.staged_id is not None:
                await staging.remove(session, current.staged_id)
            current.staged_id = staged_id
            connect_sessions.answered(current, cookie, at)

        if row.confirmed_at is None:
            await self._connections.keep(row.connection_id, secret, admit=admit)
            row = (await self.of_browser(row.id, cookie)).session
        if row.confirmed_at is not None and row.finished_at is None:
            await self._confirmations.finished(row)

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
