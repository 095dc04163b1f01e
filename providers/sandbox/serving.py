"""Running the sandbox on 127.0.0.1, as a process of its own or inside a test.

Hands every call its TCP connection, which faults need, and tells held calls when the server stops.
It never listens on another address: the control API asks nobody who they are.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from .authority import Authority
from .wire import Line

HOST = "127.0.0.1"


class LineProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry the connection they came by, as `scope["state"]["line"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "line": Line(transport)}


class Server(uvicorn.Server):
    """Ends held calls before it waits for calls to end."""

    def __init__(self, app: Starlette, *, signals: bool, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=LineProtocol,
                ws="none",
                lifespan="off" if tls else "on",  # it is one app, beside its other listener
                access_log=False,  # its lines hold queries; the ledger writes lines of its own
                log_config=None,
                server_header=False,
                timeout_keep_alive=75,  # a short one races clients that reuse connections
                timeout_graceful_shutdown=2,
            )
        )
        self.config.load()
        self.config.ssl = tls
        self._closing: asyncio.Event = app.state.closing
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if not self._signals:
            yield
            return
        with super().capture_signals():
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)


def listen(port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. From here on clients may connect."""
    # Only where the protocol is named does asyncio turn Nagle's algorithm off, which would
    # otherwise add 40 ms to every answer on a kept-alive connection.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise
    listening.listen(512)
    listening.setblocking(False)
    return listening


def url_of(listening: socket.socket) -> str:
    return f"http://{HOST}:{listening.getsockname()[1]}"


@asynccontextmanager
async def serve(app: Starlette, port: int = 0) -> AsyncIterator[str]:
    """Run the app in this event loop for as long as the block lasts; gives its base URL."""
    async with _served(app, port, None) as url:
        yield url


@asynccontextmanager
async def serve_mutual_tls(app: Starlette) -> AsyncIterator[str]:
    """Beside ``serve``, a listener of the same app that asks for certificates of its authority."""
    authority: Authority = app.state.authority
    async with _served(app, 0, authority.server_context()) as url:
        yield url.replace("http:", "https:")


@asynccontextmanager
async def _served(app: Starlette, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    listening = listen(port)
    server = Server(app, signals=False, tls=tls)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield url_of(listening)
    finally:
        server.should_exit = True
        await running
