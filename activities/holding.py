"""Holding a claim while a call runs: renewing its lease, beating, and finishing what was begun."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import wraps
from typing import Final, TypeVar
from uuid import UUID

from temporalio import activity

from activities.policies import CALL_DEADLINE, CLAIM_PATIENCE, HEARTBEAT_EVERY
from domain.errors import Unreachable
from storage.claims import LEASE, RENEW_EVERY, Claim, NotClaimed, Purpose, renew, take
from storage.database import Database

T = TypeVar("T")
SelfT = TypeVar("SelfT")
RequestT = TypeVar("RequestT")

POLL_S: Final = 0.25
# Counts while the machine sleeps, where the system has such a clock.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Holding:
    """A claim whose lease is being renewed.

    ``sure`` is false from the moment a successor might have the claim: a process that was frozen
    finds out before it does harm. The harm is the *send*; what it writes is fenced anyway.
    """

    def __init__(self, claim: Claim, taken_at: float) -> None:
        self.claim = claim
        self._taken_at = self.renewed_at = taken_at
        self._lost = False

    @property
    def time_left(self) -> timedelta:
        """What is left of the deadline for the whole exchange."""
        left = CALL_DEADLINE.total_seconds() - (boottime() - self._taken_at)
        return timedelta(seconds=max(left, 0.0))

    @property
    def sure(self) -> bool:
        """Whether the lease cannot have lapsed yet."""
        return not self._lost and boottime() - self.renewed_at < LEASE.total_seconds()

    async def keep(self, database: Database) -> None:
        """Renew until cancelled or lost; an unreachable database just lets the lease run out."""
        while not self._lost:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            asked_at = boottime()
            with suppress(Unreachable):
                if await renew(database, self.claim):
                    self.renewed_at = asked_at
                else:
                    self._lost = True


async def claim_in_turn(
    database: Database, connection_id: UUID, purpose: Purpose, generation: int | None = None
) -> Holding | NotClaimed:
    """Take the claim, waiting for a holder, dead or alive, to finish or lapse.

    Not on a worker that is to stop: what it begins late it may not be given the time to finish.
    """
    give_up_at = boottime() + CLAIM_PATIENCE.total_seconds()
    while True:
        asked_at = boottime()
        claim = await take(database, connection_id, purpose, generation)
        if isinstance(claim, Claim):
            return Holding(claim, asked_at)
        over = boottime() > give_up_at or activity.is_worker_shutdown()
        if claim is not NotClaimed.HELD or over:
            return claim
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def kept(holding: Holding, database: Database) -> AsyncIterator[Holding]:
    """Renew the lease for as long as the block runs."""
    async with _running("renewing a lease", holding.keep(database)):
        yield holding


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Tell the server that this activity lives, for as long as the block runs."""
    async with _running("heartbeat", _beat()):
        yield


def beating(
    work: Callable[[SelfT, RequestT], Coroutine[object, object, T]],
) -> Callable[[SelfT, RequestT], Coroutine[object, object, T]]:
    """An activity that tells the server that it lives, until it is done."""

    @wraps(work)
    async def beat(self: SelfT, request: RequestT) -> T:
        async with heartbeats():
            return await work(self, request)

    return beat


async def to_the_end(work: Coroutine[object, object, T]) -> T:
    """Finish ``work`` even if this activity is cancelled meanwhile, and answer with its result.

    Once a token request is on its way, the only way to keep its answer is to wait for it. The
    heartbeats belong to what no cancellation reaches: stopping them takes a moment, too.
    """
    task = asyncio.ensure_future(_beating(work))
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


async def _beating(work: Coroutine[object, object, T]) -> T:
    async with heartbeats():
        return await work


def boottime() -> float:
    """Seconds on a clock that no one sets and that does not stand still in a sleeping machine."""
    return time.clock_gettime(_CLOCK)


async def _beat() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())
        activity.heartbeat()


@asynccontextmanager
async def _running(name: str, background: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(background, name=name)
    try:
        yield
    finally:
        task.cancel()
        # Logged, never raised: what the block has in hand may be the only copy of a token.
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            activity.logger.warning("%s ended early: %s", name, type(ended).__name__)
