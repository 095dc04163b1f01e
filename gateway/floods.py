"""A flood is stopped before it reaches a workflow: each message costs its history some events.

Counted by connection, in this process only: whoever loops by mistake is told so here, and nothing
needs to be shared to tell them. Reading and leasing send no message and are not counted, and
neither is an end: whatever happened before, it is let through. Minutes are the event loop's: a wall
clock that is set back must not make one of them last for longer.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.problems import Refused

MINUTE_S: Final = 60
MOST: Final = 30
"""Of one kind, in the minute that the first one began."""


@dataclass
class _Minute:
    """How many there were in it, and when it is over, by the event loop's clock."""

    over_at: float
    count: int = 0


class Floods:
    """How many messages were sent to each connection in the minute that its first one began."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, UUID], _Minute] = {}

    def take(self, connection_id: UUID) -> None:
        """Count one message.

        Raises:
            Refused: 429, there were too many.
        """
        self._take("messages", connection_id)

    def take_given(self, connection_id: UUID) -> None:
        """Count one form that a user has filled in on our page.

        Raises:
            Refused: 429, there were too many.
        """
        self._take("forms", connection_id)

    def take_revocation(self, connection_id: UUID) -> None:
        """Count one revocation: counted by itself, no flood of other messages is in its way.

        Raises:
            Refused: 429, there were too many.
        """
        self._take("revocations", connection_id)

    def may_remind(self, connection_id: UUID) -> bool:
        """Whether nobody has told this connection of its end in this minute."""
        return ("reminders", connection_id) not in self._minutes

    def reminded(self, connection_id: UUID) -> None:
        """It has been told."""
        self._minute("reminders", connection_id)

    def _take(self, what: str, connection_id: UUID) -> None:
        minute = self._minute(what, connection_id)
        minute.count += 1
        if minute.count <= MOST:
            return
        left = minute.over_at - asyncio.get_running_loop().time()
        raise Refused(
            429,
            "too-many-requests",
            f"a connection takes {MOST} {what} a minute",
            headers={"Retry-After": str(max(1, math.ceil(left)))},
        )

    def _minute(self, what: str, connection_id: UUID) -> _Minute:
        key = (what, connection_id)
        if key not in self._minutes:
            loop = asyncio.get_running_loop()
            self._minutes[key] = _Minute(loop.time() + MINUTE_S)
            loop.call_later(MINUTE_S, self._minutes.pop, key)
        return self._minutes[key]
