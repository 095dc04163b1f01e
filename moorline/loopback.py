"""Where a login on this machine comes back to: a page on loopback, open only while one is awaited.

RFC 8252, section 7.3. It sends the browser to the provider, takes in what the provider sends it
back with, and shows constant pages: no text of a provider and nothing of a query is ever echoed
or logged.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from client.authorizations import Received
from client.connections import ConnectionsClient
from domain.errors import Conflict, InvalidInput, MoorlineError, NotConfigured, NotFound
from moorline import loopback_pages as pages
from moorline.listening import ADDRESSES, listen, serving

_NOT_OURS = (Conflict, InvalidInput, NotFound)


class Loopback:
    """The listener, and the answers that have come to it."""

    def __init__(self, connections: ConnectionsClient, redirect_uri: str) -> None:
        self._connections = connections
        self._redirect_uri = redirect_uri
        self._host = _checked(redirect_uri).netloc
        self._answers: defaultdict[UUID, asyncio.Queue[Received]] = defaultdict(asyncio.Queue)

    @classmethod
    @asynccontextmanager
    async def listening(
        cls, connections: ConnectionsClient, redirect_uri: str
    ) -> AsyncIterator[Self]:
        """Listen at the redirect address for as long as the block lasts.

        Raises:
            NotConfigured: not a loopback address.
            PortTaken: another process listens there.
        """
        loopback = cls(connections, redirect_uri)
        parts = _checked(redirect_uri)
        async with serving(loopback._app(parts.path), listen(parts.hostname or "", port_of(parts))):
            yield loopback

    async def received(self, connection_id: UUID) -> Received:
        """What the browser has brought back for this connection, once it has; for ``authorize``."""
        return await self._answers[connection_id].get()

    def _app(self, path: str) -> Starlette:
        routes = [
            Route("/start/{attempt_id:uuid}", self._start, methods=["GET"]),
            Route(path or "/", self._come_back, methods=["GET"]),
        ]
        return Starlette(routes=routes)

    async def _start(self, request: Request) -> Response:
        """Send the browser to the provider."""
        if not self._is_asked_for(request):
            return pages.wrong_address()
        try:
            url = await self._connections.provider_url(request.path_params["attempt_id"])
        except _NOT_OURS:
            return pages.nothing_to_start()
        except MoorlineError:
            return pages.out_of_order()
        return RedirectResponse(url, 302, pages.HEADERS)

    async def _come_back(self, request: Request) -> Response:
        """Take in what the browser brings, and hand it to whoever waits for it."""
        # HEAD is what a preview or a scanner sends: it must not use the answer up.
        if request.method != "GET" or not self._is_asked_for(request):
            return pages.wrong_address()
        try:
            received = await self._connections.receive_redirect(
                f"{self._redirect_uri}?{request.url.query}"
            )
        except _NOT_OURS:
            return pages.not_awaited()
        except MoorlineError:
            return pages.out_of_order()
        self._answers[received.connection_id].put_nowait(received)
        return pages.finished()

    def _is_asked_for(self, request: Request) -> bool:
        # A page elsewhere may give our address another name (DNS rebinding): it stays outside.
        return request.headers.get("host") == self._host


def port_of(parts: SplitResult) -> int:
    """The port of a redirect address."""
    return 80 if parts.port is None else parts.port


def _checked(redirect_uri: str) -> SplitResult:
    parts = urlsplit(redirect_uri)
    try:
        valid = parts.scheme == "http" and parts.hostname in ADDRESSES and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or parts.username:
        raise NotConfigured(
            "MOORLINE_REDIRECT_URI must be http://127.0.0.1:PORT/PATH (or localhost, or [::1]) for "
            "a login that comes back to this machine; use --no-wait if it comes back elsewhere"
        )
    return parts
