"""What each mode of the fault proxy does to a link, against a real server that echoes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from campaign.proxy import HOST, PASS, Mode, Proxy
from moorline.stack.ports import free_ports

SOON_S = 10
LONG = bytes(range(256)) * 40


@dataclass
class Echo:
    """What reached the server, piece by piece."""

    received: list[bytes]


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Proxy, Echo]]:
    heard = Echo([])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            heard.received.append(piece)
            writer.write(piece)
            await writer.drain()
        writer.close()

    port, target = free_ports(2)
    server = await asyncio.start_server(answer, HOST, target)
    async with Proxy(port, target) as proxy:
        yield proxy, heard
    server.close()


@asynccontextmanager
async def connected(
    proxy: Proxy,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(proxy: Proxy, said: bytes) -> bytes:
    """Say it on a connection of its own, and read the answer to its end."""
    async with asyncio.timeout(SOON_S), connected(proxy) as (reader, writer):
        writer.write(said)
        writer.write_eof()
        return await reader.read()


async def test_passing_changes_nothing(echo: tuple[Proxy, Echo]) -> None:
    proxy, _ = echo
    assert await echoed(proxy, LONG) == LONG


async def test_refusing_nobody_listens_and_connections_there_are_get_a_reset(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, _ = echo
    async with connected(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        await proxy.become(Mode("refuse"))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), SOON_S)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, proxy.port)
    await proxy.become(PASS)
    assert await echoed(proxy, b"after") == b"after"


async def test_cutting_no_more_than_so_many_bytes_come_through_and_both_ends_get_a_reset(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, heard = echo
    await proxy.become(Mode("cut", amount=100))
    assert await echoed(proxy, LONG[:100]) == LONG[:100]
    heard.received.clear()
    with pytest.raises(ConnectionResetError):
        await echoed(proxy, LONG[:101])
    assert len(b"".join(heard.received)) <= 100


async def test_a_connection_that_was_there_before_is_cut_after_so_many_further_bytes(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, _ = echo
    async with asyncio.timeout(SOON_S), connected(proxy) as (reader, writer):
        writer.write(LONG)
        assert await reader.readexactly(len(LONG)) == LONG
        await proxy.become(Mode("cut", amount=10))
        writer.write(b"0123456789")
        assert await reader.readexactly(10) == b"0123456789"
        writer.write(b"!")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_what_is_sent_into_a_black_hole_never_arrives_and_nobody_is_told_until_it_closes(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, heard = echo
    async with connected(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        heard.received.clear()
        await proxy.become(Mode("black_hole"))
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        async with connected(proxy) as (_, other):  # it is let in, and that is all
            other.write(b"lost, too")
        await proxy.become(PASS)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), SOON_S)
    assert await echoed(proxy, b"after") == b"after"
    assert heard.received == [b"after"]


async def test_a_connection_that_says_nothing_while_the_hole_is_open_outlives_it(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, _ = echo
    async with asyncio.timeout(SOON_S), connected(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        await proxy.become(Mode("black_hole"))
        await proxy.become(PASS)
        writer.write(b"after")
        assert await reader.readexactly(5) == b"after"


async def test_latency_delays_each_way(echo: tuple[Proxy, Echo]) -> None:
    proxy, _ = echo
    await proxy.become(Mode("latency", seconds=0.2))
    began = time.monotonic()
    assert await echoed(proxy, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.4


async def test_slicing_everything_arrives_in_order_and_in_small_pieces(
    echo: tuple[Proxy, Echo],
) -> None:
    proxy, heard = echo
    await proxy.become(Mode("slice", amount=7))
    assert await echoed(proxy, LONG[:700]) == LONG[:700]
    assert len(heard.received) > 30  # of 100: the kernel may join some again


async def test_at_its_end_nothing_of_it_is_left(echo: tuple[Proxy, Echo]) -> None:
    proxy, _ = echo
    async with connected(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        await proxy.__aexit__()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), SOON_S)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, proxy.port)
