"""What stands before a gateway that browsers reach by https: it ends TLS, and hands on the rest."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from providers.sandbox.authority import HOST, Authority


@asynccontextmanager
async def ending_tls(port: int, target: int) -> AsyncIterator[None]:
    """TLS on ``port``, by an authority that no browser knows; plain on ``target``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(HOST, target)
        await asyncio.gather(_hand_on(reader, there[1]), _hand_on(there[0], writer))

    context = Authority().server_context()
    context.verify_mode = ssl.CERT_NONE  # browsers show nothing of themselves
    async with await asyncio.start_server(serve, HOST, port, ssl=context):
        yield


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):  # the browser goes when it likes
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
