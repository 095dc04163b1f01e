"""A TCP proxy that does to a link what networks do: refuse, cut, swallow, delay and slice.

It knows nothing of what it carries. A mode concerns the connections there are as well as new ones.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

HOST = "127.0.0.1"
CHUNK = 65_536
APART_S = 0.001
"""Between two slices, so that they arrive as two."""

ModeName = Literal["pass", "refuse", "cut", "black_hole", "latency", "slice"]


@dataclass(frozen=True)
class Mode:
    """What is done to the link.

    - ``pass``: nothing.
    - ``refuse``: nobody listens; connections there are end with a reset.
    - ``cut``: a connection is reset once ``amount`` bytes have gone through it one way.
    - ``black_hole``: nothing comes through and nobody is told; what was sent into it is lost, and
      its connection is reset when the hole closes.
    - ``latency``: each piece arrives ``seconds`` later.
    - ``slice``: everything arrives in pieces of ``amount`` bytes.
    """

    name: ModeName = "pass"
    amount: int = 0
    seconds: float = 0.0


PASS = Mode()


class Proxy:
    """One link: whoever connects to ``port`` of this machine is connected to ``target``."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._mode = PASS
        self._closed = asyncio.Event()
        """Set when a hole closes, or the proxy."""
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> Mode:
        """What is being done to the link now."""
        return self._mode

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.become(Mode("refuse"))
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def become(self, mode: Mode) -> None:
        """Change the mode, for all connections."""
        self._closed.set()
        self._closed = asyncio.Event()
        self._mode = mode
        if mode.name == "refuse":
            await self._refuse()
        else:
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in list(self._lines):
            line.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode.name == "black_hole":
            await self._closed.wait()
            _reset(writer)
            return
        try:
            there, thence = await asyncio.open_connection(HOST, self._target)
        except OSError:
            _reset(writer)
            return
        line = _Line(writer, thence)
        self._lines.add(line)
        both = (self._pump(reader, thence, line), self._pump(there, writer, line))
        try:
            await asyncio.gather(*both)
        finally:
            self._lines.discard(line)
            line.reset() if line.broken else line.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, line: "_Line"
    ) -> None:
        """Carry one way, until it ends or is broken."""
        counted, passed = self._mode, 0
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                if self._mode is not counted:
                    counted, passed = self._mode, 0
                if not await self._pass(chunk, passed, sink):
                    line.reset()
                    return
                passed += len(chunk)
            if self._mode.name == "black_hole":
                await self._closed.wait()
            if sink.can_write_eof():
                sink.write_eof()
            return
        line.reset()

    async def _pass(self, chunk: bytes, passed: int, sink: asyncio.StreamWriter) -> bool:
        """Treat a chunk as the mode says; False: the connection is broken."""
        mode = self._mode
        match mode.name:
            case "black_hole":
                await self._closed.wait()
                return False
            case "cut" if passed + len(chunk) > mode.amount:
                sink.write(chunk[: max(mode.amount - passed, 0)])
                with suppress(OSError):
                    await sink.drain()
                return False
            case "slice":
                for at in range(0, len(chunk), mode.amount):
                    sink.write(chunk[at : at + mode.amount])
                    await sink.drain()
                    await asyncio.sleep(APART_S)
                return True
            case "latency":
                await asyncio.sleep(mode.seconds)
        sink.write(chunk)
        await sink.drain()
        return True


class _Line:
    """One connection, both of its halves."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.broken = False

    def reset(self) -> None:
        """End it as if it had been cut: what was on the way is lost, both ends get a reset."""
        self.broken = True
        for writer in self._writers:
            _reset(writer)

    def close(self) -> None:
        """End it in order."""
        for writer in self._writers:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
