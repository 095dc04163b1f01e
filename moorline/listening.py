"""Serving HTTP inside one of our processes: the gateway, and the page a login comes back to.

Signals are the process's business, never the server's. Only loopback addresses are listened on.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from domain.errors import NotConfigured

ADDRESSES = {
    "127.0.0.1": ((socket.AF_INET, "127.0.0.1"),),
    "::1": ((socket.AF_INET6, "::1"),),
    # A browser takes either; a machine may lack the second.
    "localhost": ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")),
}
GRACE_S = 3


class PortTaken(NotConfigured):
    """Something else listens there."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets; clients may connect from here on.

    Raises:
        PortTaken: another process listens there.
        NotConfigured: not a loopback host, or one may not listen there.
    """
    if host not in ADDRESSES:
        raise NotConfigured(f"{host} is not a loopback address")
    sockets: list[socket.socket] = []
    for number, (family, address) in enumerate(ADDRESSES[host]):
        try:
            sockets.append(_listen(family, address, port))
        except OSError as error:
            if number > 0 and not isinstance(error, PermissionError):
                continue
            _close(sockets)
            if isinstance(error, PermissionError):
                raise NotConfigured(f"port {port} on {host} needs more rights") from None
            raise PortTaken(f"port {port} on {host} is taken by another process") from None
    return sockets


@asynccontextmanager
async def serving(app: Starlette, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve the application for as long as the block lasts; answers under way are finished.

    Those that would never finish by themselves look at ``app.state.stopping``.
    """
    config = uvicorn.Config(
        app,
        access_log=False,  # its lines hold queries
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    app.state.stopping = False
    running = asyncio.create_task(server.serve(sockets=list(sockets)))
    try:
        yield
    finally:
        app.state.stopping = True
        server.should_exit = True
        await running
        _close(sockets)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # Only where the protocol is named does asyncio turn Nagle's algorithm off, which would
    # otherwise add 40 ms to every answer on a kept-alive connection.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    listening.listen(128)
    listening.setblocking(False)
    return listening


def _close(sockets: Sequence[socket.socket]) -> None:
    for listening in sockets:
        listening.close()
