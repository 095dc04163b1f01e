"""One call's connection, with the ways of ending it that HTTP frameworks do not offer.

Faults need to hold an answer, to cut it short, or to give none. This module does these things and
knows nothing of why. The app must be run by `serving`, which hands in the `Line` to cut.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Line:
    """The TCP connection under a call."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def certificate(self) -> bytes | None:
        """What the other side has shown in the TLS handshake (DER)."""
        tls = self._transport.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True) if tls is not None else None

    def close(self) -> None:
        """Close once everything written so far has gone out."""
        self._transport.close()

    def cut(self, *, reset: bool) -> None:
        """Close at once; with `reset` the peer gets a RST instead of an orderly end."""
        if reset:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Wire:
    """A call that has been read and waits for its answer."""

    def __init__(self, request: Request, body: bytes, send: Send, closing: asyncio.Event) -> None:
        self.request = request
        self.body = body
        self.status: int | None = None
        """The status that went out, if one did."""
        self._send = send
        self._closing = closing
        self._gone = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, scope: Scope, receive: Receive, send: Send, closing: asyncio.Event
    ) -> AsyncIterator[Self]:
        """Read the request, then watch for the client going away until the call is over."""
        request = Request(scope, receive)
        wire = cls(request, await request.body(), send, closing)
        watch = asyncio.create_task(wire._watch())
        try:
            yield wire
        finally:
            watch.cancel()

    @property
    def certificate(self) -> bytes | None:
        """What the caller has shown in the TLS handshake (DER)."""
        return self._line().certificate

    async def send(self, response: Response) -> bool:
        """Hand over the whole answer; False if nobody is there to take it."""
        if self._gone.is_set():
            return False
        self.status = response.status_code
        await response(self.request.scope, self.request.receive, self._send)
        return True

    async def truncate(self, response: Response) -> bool:
        """Promise the whole body, give half of it, close."""
        self.status = response.status_code
        body = bytes(response.body)
        start = {"type": "http.response.start", "status": response.status_code}
        await self._send({**start, "headers": response.raw_headers})
        half = body[: len(body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        self._line().close()
        await self._gone.wait()
        return False

    async def drop(self, *, reset: bool = False) -> bool:
        """Close the connection without a byte of answer."""
        self._line().cut(reset=reset)
        await self._gone.wait()
        return False

    async def hold(
        self, released: asyncio.Event, seconds: float | None, *, even_if_gone: bool = False
    ) -> bool:
        """Wait, and say whether to go on: not when the client has left or the server shuts down."""
        ends = [released, self._closing] + ([] if even_if_gone else [self._gone])
        waits = [asyncio.create_task(end.wait()) for end in ends]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return not any(end.is_set() for end in ends[1:])

    async def _watch(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    def _line(self) -> Line:
        line = self.request.scope["state"].get("line")
        if not isinstance(line, Line):
            raise TypeError("this fault needs the app to be run by providers.sandbox.serving")
        return line
