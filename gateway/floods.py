"""A flood is stopped before it reaches a workflow: each message costs its history some events.

Counted by connection, in this process only: whoever loops by mistake is told so here, and nothing
needs to be shared to tell them. Reading and leasing send no message and are not counted, and
neither is an end: whatever happened before, it is let through.
"""

import math
import time
from typing import Final
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from gateway.problems import Refused

MESSAGES: Final = RateLimitItemPerMinute(30, namespace="messages")
GIVEN: Final = RateLimitItemPerMinute(30, namespace="given")
REVOCATIONS: Final = RateLimitItemPerMinute(30, namespace="revocations")
REMINDERS: Final = RateLimitItemPerMinute(1, namespace="reminders")


class Floods:
    """How many messages were sent to each connection in the minute that its first one began."""

    def __init__(self) -> None:
        # Of what `limits` has, the one that needs no thread to forget a connection again.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def take(self, connection_id: UUID) -> None:
        """Count one message.

        Raises:
            Refused: 429, there were too many.
        """
        await self._take(MESSAGES, connection_id, "messages")

    async def take_given(self, connection_id: UUID) -> None:
        """Count one form that a user has filled in on our page.

        Raises:
            Refused: 429, there were too many.
        """
        await self._take(GIVEN, connection_id, "forms")

    async def take_revocation(self, connection_id: UUID) -> None:
        """Count one revocation: counted by itself, no flood of other messages is in its way.

        Raises:
            Refused: 429, there were too many.
        """
        await self._take(REVOCATIONS, connection_id, "revocations")

    async def _take(self, limit: RateLimitItem, connection_id: UUID, what: str) -> None:
        if await self._limiter.hit(limit, str(connection_id)):
            return
        free_at, _ = await self._limiter.get_window_stats(limit, str(connection_id))
        raise Refused(
            429,
            "too-many-requests",
            f"a connection takes {limit.amount} {what} a minute",
            headers={"Retry-After": str(max(1, math.ceil(free_at - time.time())))},
        )

    async def may_remind(self, connection_id: UUID) -> bool:
        """Whether nobody has told this connection of its end in this minute."""
        return await self._limiter.test(REMINDERS, str(connection_id))

    async def reminded(self, connection_id: UUID) -> None:
        """It has been told."""
        await self._limiter.hit(REMINDERS, str(connection_id))
