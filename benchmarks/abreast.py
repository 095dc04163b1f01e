"""Many things at once, but not all of them; and waiting for a fact."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 20


async def abreast(work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Do this with each, twenty at once; the answers in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with gate:
            return await work(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


async def until(
    fact: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float = 0.05
) -> float:
    """Wait for a fact; how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await fact():
            await asyncio.sleep(every_s)
    return time.monotonic() - began
