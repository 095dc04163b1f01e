"""Waits for facts: a port that listens, a page that answers, a line in a log.

A child that ends while it is waited for is an error at once, with the end of its log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from .child import Child, Command
from .errors import StackError
from .ports import HOST
from .state import StateFolder

Probe = Callable[[Child], Awaitable[bool]]

_PAUSE = 0.03


async def start(command: Command, state: StateFolder, ready: Probe, within: float) -> Child:
    """Spawn `command` and wait until it is `ready`; what does not become so is stopped again."""
    child = await Child.spawn(command, state)
    try:
        await _until(ready, child, within)
    except BaseException:
        await child.stop()
        raise
    return child


async def _until(ready: Probe, child: Child, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            while not await ready(child):
                if child.returncode is not None:
                    raise StackError(child.obituary())
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise StackError(f"not ready after {within:g} s: {child.obituary()}") from None


async def listens(port: int) -> bool:
    """Whether something accepts connections on this port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def says(text: str) -> Probe:
    """Ready when the child has written `text` since it was started."""

    async def probe(child: Child) -> bool:
        return text in child.output

    return probe


def answers(url: str) -> Probe:
    """Ready when `url` answers with success."""

    async def probe(_: Child) -> bool:
        # A proxy of the environment must not be asked for a page of this machine.
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.TransportError:
                return False

    return probe


async def at_once(_: Child) -> bool:
    """For a child nobody waits for."""
    return True
