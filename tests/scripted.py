"""A TCP server on 127.0.0.1 that does to a client exactly what a test tells it to.

No HTTP library is in between: it can answer wrongly, half, too much, or not at all.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    """One request as it came in."""

    head: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:] if line)
        return {name.strip().lower(): value.strip() for name, _, value in lines}

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@dataclass
class Scripted:
    """What the server is to do with the next connections, and what it has seen."""

    url: str
    script: Script
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)
    requests: list[Request] = field(default_factory=list)

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Take in one whole request."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.received += head
        request = Request(head.decode(), b"")
        length = int(request.headers.get("content-length", "0"))
        request.body = await reader.readexactly(length)
        self.received += request.body
        self.requests.append(request)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.script(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    # -- scripts: what can be done to a request ------------------------------------------------

    def answers(
        self, status: int, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer whole."""
        content = body.encode() if isinstance(body, str) else body
        self.writes(http(status, content, headers or {}))

    def writes(self, raw: bytes) -> None:
        """Write these bytes after a whole request, and close."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.read(reader)
            writer.write(raw)

        self.script = script

    def resets(self, *, after_reading: bool, answer: bytes = b"") -> None:
        """A TCP reset, before or after the request was read, perhaps after part of an answer."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if after_reading:
                await self.read(reader)
            if answer:
                writer.write(answer)
                await writer.drain()
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        self.script = script

    def stays_silent(self, answer: bytes = b"") -> None:
        """Read the request, perhaps begin to answer, and hold until the client goes."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.read(reader)
            writer.write(answer)
            await writer.drain()
            await reader.read()

        self.script = script

    def only_listens(self) -> None:
        """Answer nothing; take in whatever comes until the client goes."""

        async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            self.received += await reader.read()

        self.script = script


def http(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A response as it goes over the wire."""
    usual = {"content-type": "application/json", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**usual, **headers}.items())
    phrase = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    """A server for as long as the block runs; it answers 200 with nothing until told otherwise."""

    async def nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None: ...

    made = Scripted("", nothing)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made.answers(200)
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@asynccontextmanager
async def unanswering() -> AsyncIterator[str]:
    """The URL of a port where a connection is never established: its backlog is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(full.getsockname())
            fillers.append(filler)
        yield f"http://127.0.0.1:{full.getsockname()[1]}"
        for filler in fillers:
            filler.close()
