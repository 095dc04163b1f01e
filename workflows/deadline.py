"""A deadline that can be moved as often as one likes at the price of one timer.

A timer costs an action and five events; arming a new one on every wake-up would double the cost
of a life. So there is one, it is left alone when the deadline moves later (it finds out when it
fires), and replaced only when the deadline moves earlier.
"""

import asyncio
from datetime import datetime

from temporalio import workflow


class Deadline:
    """The next instant at which something is due, by the workflow's clock."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._armed_for: datetime | None = None
        self._timer: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        """Whether the instant has come."""
        return self._at is not None and workflow.now() >= self._at

    def set(self, at: datetime | None) -> None:
        """Move the deadline; None: nothing is due at any time."""
        self._at = at
        if at is None or (self._armed_for is not None and self._armed_for <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = at
        self._timer = asyncio.create_task(self._ring(at))

    async def _ring(self, at: datetime) -> None:
        delay = (at - workflow.now()).total_seconds()
        if delay > 0:
            await asyncio.sleep(delay)
        self._armed_for = self._timer = None
        if self._at is not None and not self.due:
            self.set(self._at)
