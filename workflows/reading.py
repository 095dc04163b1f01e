"""Reading data: the job that runs beside the life, at most one at a time.

It may be stopped anywhere and goes on by its cursors. When it is due, and what it comes to, is
written in the life; here is only that it runs.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.payloads import Synced
from domain.syncs import SyncOutcome
from workflows import deeds
from workflows.life import Life
from workflows.renewal import is_overdue


class Reading:
    """The reading that is under way, if one is."""

    def __init__(self) -> None:
        self._handle: workflow.ActivityHandle[Synced] | None = None

    @property
    def is_running(self) -> bool:
        """Whether one is under way, or has ended and was not looked at yet."""
        return self._handle is not None

    @property
    def has_ended(self) -> bool:
        """Whether one has ended and was not looked at yet."""
        return self._handle is not None and self._handle.done()

    @property
    def may_start(self) -> bool:
        """Whether another may begin: not beside one, nor in a run that has to come to its end."""
        return self._handle is None and not is_overdue()

    def start_if_due(self, life: Life) -> None:
        """Begin, if it is time and nothing is in the way."""
        if self.may_start and life.is_sync_due(workflow.now()):
            life.sync_asked = False
            self._handle = deeds.start_sync(life.view)

    def stop(self) -> None:
        """Let go after the page that is being read."""
        if self._handle is not None and not self._handle.done():
            self._handle.cancel()

    async def conclude(self, life: Life) -> bool:
        """Write into the life what an ended reading brought; whether it found the end asked for."""
        if self._handle is None or not self._handle.done():
            return False
        handle, self._handle = self._handle, None
        try:
            result = await handle
        except (ActivityError, asyncio.CancelledError):
            # Stopped, or lost for reasons of our own: what it had stored stays.
            result = Synced(outcome=SyncOutcome.UNAVAILABLE)
        life.after_sync(result, workflow.now())
        return result.ended
