"""Where the loop rests, and how it goes on in another run when this one has become long.

What a life waits for is written in one condition. Between two runs nothing may get lost on the
way: no message, no question, no cancellation.
"""

from datetime import timedelta
from typing import NoReturn

from temporalio import workflow

from workflows import renewal
from workflows.conversation import Conversation
from workflows.messages import Disconnect, StartConnection
from workflows.renewal import Carried
from workflows.visibility import Visibility


class Waiting(Conversation):
    """Resting, and being renewed."""

    def __init__(self, start: StartConnection | str) -> None:
        super().__init__()
        self._start = start
        self._nudged = False
        self._visibility = Visibility()
        # Only from the run before: anyone else's word for what a life is would be taken for true.
        continues = workflow.info().continued_run_id is not None
        if continues and isinstance(start, StartConnection):
            carried = renewal.resumed(start.carried)
            self._life, self._inbox = carried.life, carried.inbox
            self._visibility = Visibility(carried.entry)

    async def _wait(self) -> None:
        """Until there is something to do: the only place where the loop rests."""
        if renewal.is_overdue():
            self._reading.stop()  # it goes on in the next run, where it was
        self._visibility.show(self.life.view)
        self._rearm()
        await workflow.wait_condition(self._has_something_to_do)

    def _has_something_to_do(self) -> bool:
        if self._inbox or self._renames or self._may_renew() or self._reading.has_ended:
            return True
        if self._beginnings and not self._waits_for_revocation():
            return True
        if self._job is not None:
            return self._job.handle.done()
        nothing_left = self.life.ending is not None and self.life.revocation is None
        may_read = self._is_asked_to_read()
        return self._deadline.due or bool(self._authorizations) or nothing_left or may_read

    def _is_asked_to_read(self) -> bool:
        asked = self.life.sync_asked and self._reading.may_start
        return asked and self.life.is_sync_due(workflow.now())

    def _waits_for_revocation(self) -> bool:
        return self.life.revocation is not None and self.life.revocation.last_try

    # -- continuing as new ---------------------------------------------------------------------

    def _may_renew(self) -> bool:
        """Only between jobs, and when nobody waits for an answer."""
        asks = self._beginnings or self._authorizations or self._renames
        idle = self._job is None and not self._reading.is_running
        idle = idle and not asks and workflow.all_handlers_finished()
        return idle and (self._nudged or renewal.is_wanted())

    async def _is_to_be_renewed(self) -> bool:
        """Whether to continue as new, once every message that is on its way has arrived."""
        if not self._may_renew():
            return False
        # A workflow task of its own: a cancellation that came with the last one would be lost.
        await workflow.sleep(timedelta(milliseconds=1))
        return self._may_renew()

    def _continue_as_new(self) -> NoReturn:
        assert isinstance(self._start, StartConnection)  # refused otherwise
        if workflow.cancellation_reason() is not None:
            self._hear(Disconnect(by_operator=True))
        carried = Carried(life=self.life, inbox=self._inbox, entry=self._visibility.entry)
        renewal.continue_as_new(self._start, carried)
