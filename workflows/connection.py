"""The life of a connection, from PENDING to DISCONNECTED: one workflow, for years.

``run`` is a loop over the status. Handlers (``workflows.conversation``) only record; one method
waits; one method changes the status. A call to the provider is a *job* that runs beside the loop,
one at a time, so that nothing a user says has to wait for a provider. No secret passes through
here, ever.
"""

import asyncio
from datetime import datetime, timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.payloads import Authenticated, Refreshed, RevokedAtProvider
from domain.outcomes import Outcome
from domain.status import ConnectionStatus, StatusReason
from domain.view import Attempt, Receipt
from workflows import deeds, renewal
from workflows.conversation import Conversation
from workflows.life import Change, Life
from workflows.messages import (
    AuthorizationBegun,
    Disconnect,
    Nudge,
    Rename,
    Revoke,
    StartConnection,
    SyncNow,
    started,
)
from workflows.renewal import Carried
from workflows.visibility import Visibility


@workflow.defn
class ConnectionWorkflow(Conversation):
    """One connection's life."""

    @workflow.init
    def __init__(self, start: object = None) -> None:
        super().__init__()
        self._start = started(start)
        self._nudged = False
        self._visibility = Visibility()
        # Only from the run before: anyone else's word for what a life is would be taken for true.
        continues = workflow.info().continued_run_id is not None
        if continues and isinstance(self._start, StartConnection):
            carried = renewal.resumed(self._start.carried)
            self._life, self._inbox = carried.life, carried.inbox
            self._visibility = Visibility(carried.entry)

    @workflow.run
    async def run(self, start: object = None) -> Receipt:  # noqa: ARG002 -- ``__init__`` has it
        """Live until DISCONNECTED; the result says what was revoked where."""
        living = asyncio.create_task(self._live())
        while True:
            try:
                receipt = await asyncio.shield(living)
                break
            except ActivityError as error:
                # Not expected. It would end the life; this stalls it, and it can be mended.
                raise RuntimeError("the life cannot go on") from error
            except asyncio.CancelledError:
                if living.cancelled():
                    raise  # the worker lets go of this run; it goes on elsewhere
                self._hear(Disconnect(by_operator=True))
        return receipt or self._continue_as_new()

    async def _live(self) -> Receipt | None:
        """The loop. None: its history has become long, and it is to continue as new."""
        if self._life is None:
            await self._adopt()
        while self.life.status is not ConnectionStatus.DISCONNECTED:
            await self._wait()
            await self._heed()
            await self._conclude()
            await self._reading.conclude(self.life)
            match self.life.status:
                case _ if self.life.ending is not None:
                    await self._end(self.life.ending)
                case ConnectionStatus.PENDING:
                    await self._await_authorization()
                case ConnectionStatus.ACTIVE:
                    await self._keep_fresh()
                case _:
                    await self._await_the_user()
            if await self._is_to_be_renewed():
                return None
        self._visibility.show(self.life.view)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._receipt()

    async def _adopt(self) -> None:
        """First of all: find out whose life this is, and refuse what does not fit."""
        refusal = self._start
        if isinstance(refusal, StartConnection):
            adopted = await deeds.adopt(refusal)
            if adopted.view is not None:
                self._life = Life.begin(adopted, workflow.now())
                self._visibility.index(self.life.view)
                return
            refusal = adopted.refusal or "there is no such connection"
        self._refusal = refusal
        await workflow.wait_condition(workflow.all_handlers_finished)
        raise ApplicationError(refusal, type="Refused", non_retryable=True)

    # -- one arm for each part of a life -------------------------------------------------------

    async def _await_authorization(self) -> None:
        """PENDING: the user is at the provider, for as long as the window is open."""
        self._start_asked_job()
        if self._job is None and is_past(self.life.give_up_at):
            await self._become(Change(ConnectionStatus.FAILED, StatusReason.AUTHORIZATION_TIMEOUT))

    async def _keep_fresh(self) -> None:
        """ACTIVE: refresh before expiry, until the grant itself ends; read data meanwhile."""
        self._start_asked_job()
        if self._job is not None:
            return
        if is_past(self.life.ends_at):
            await self._become(Change(ConnectionStatus.EXPIRED, self.life.ends_because))
        elif is_past(self.life.warn_at):
            await self._warn()
        elif is_past(self.life.refresh_at):
            self._job = deeds.start_refresh(self.life.view)
        else:
            self._reading.start_if_due(self.life)

    async def _await_the_user(self) -> None:
        """EXPIRED, REVOKED or FAILED: only the user can bring it back; not for ever."""
        self._start_asked_job()
        if self._job is None and is_past(self.life.give_up_at):
            await self._begin_end(StatusReason.ABANDONED)

    async def _end(self, reason: StatusReason) -> None:
        """Ending: revoke what is held, destroy the secrets, and only then it is over."""
        self._start_asked_job()
        if self._job is None and self.life.revocation is None:
            await self._become(Change(ConnectionStatus.DISCONNECTED, reason))

    def _start_asked_job(self) -> None:
        """What was asked for goes before what is due by itself; revoking before all."""
        if self._job is not None:
            return
        if self.life.revocation is not None:
            if is_past(self.life.revocation.next_at):
                self._job = deeds.start_revocation(self.life.view)
        elif self._authorizations:
            self._job = deeds.start_exchange(self.life.view, self._authorizations.pop(0))

    async def _warn(self) -> None:
        """The grant's known end is near: tell, once for each of the last days."""
        days = self.life.begin_warning(workflow.now())
        assert self.life.ends_at is not None  # else there would be nothing to warn of
        view, reason = self.life.view, self.life.ends_because
        await deeds.announce_expiry(view.connection_id, reason, self.life.ends_at, days)

    # -- what users say ------------------------------------------------------------------------

    async def _heed(self) -> None:
        """Messages, oldest first; the end before all else."""
        while self._inbox:
            match self._inbox.pop(0):
                case Revoke():
                    await self._revoked_by_user()
                case Disconnect(by_operator=by_operator):
                    await self._begin_end(
                        StatusReason.OPERATOR_CANCELLED
                        if by_operator
                        else StatusReason.USER_DISCONNECTED
                    )
                case SyncNow():
                    self.life.sync_asked = True
                case Nudge():
                    self._nudged = True
        while self._renames:
            await self._rename()
        if self.life.revocation is None:
            while self._beginnings:
                await self._begin_authorization()
        elif self._beginnings or self._authorizations:
            # The user wants to come back: one last try, then the old secrets go.
            self.life.revocation.last_try = True
            self.life.revocation.next_at = workflow.now()

    async def _revoked_by_user(self) -> None:
        self._stop_jobs()
        # Also while PENDING: an authorization that was begun before is void from now on.
        if self.life.holds_secrets or self.life.status is ConnectionStatus.PENDING:
            self.life.begin_revocation(workflow.now())
        if self.life.status is ConnectionStatus.ACTIVE:
            await self._become(Change(ConnectionStatus.REVOKED, StatusReason.USER_REVOKED))
        elif self.life.status is ConnectionStatus.PENDING:
            await self._become(Change(ConnectionStatus.FAILED, StatusReason.USER_REVOKED))

    async def _begin_end(self, reason: StatusReason) -> None:
        if self.life.ending is not None:
            return
        self._stop_jobs()
        self.life.ending = reason
        ended = await deeds.end(self.life.view.connection_id)
        self.life.show(ending=ended.view.ending, expires_at=None, refresh_at=None)
        if self.life.holds_secrets or ended.holds_secrets:
            self.life.begin_revocation(workflow.now())
        self._turn_away()

    def _stop_jobs(self) -> None:
        self._reading.stop()
        if self._job is not None:
            self._job.stop()

    async def _begin_authorization(self) -> None:
        ask = self._beginnings.pop(0)
        try:
            begun = await deeds.begin_authorization(self.life.view.connection_id)
        except ActivityError as error:
            ask.fail_with(error)
            return
        until = workflow.now() + begun.window
        self.life.show(
            attempt=Attempt(
                attempt_id=begun.attempt_id, status="pending", reason=None, expires_at=until
            )
        )
        if self.life.status is ConnectionStatus.PENDING:
            self.life.give_up_at = until
        ask.answer(AuthorizationBegun(attempt_id=begun.attempt_id, url=begun.url))

    async def _rename(self) -> None:
        ask = self._renames.pop(0)
        assert isinstance(ask.question, Rename)  # the queue holds nothing else
        try:
            view = await deeds.rename(self.life.view.connection_id, ask.question.alias)
        except ActivityError as error:
            ask.fail_with(error)
            return
        self.life.show(alias=view.alias)
        ask.answer(self.life.view)

    # -- what providers answer -----------------------------------------------------------------

    async def _conclude(self) -> None:
        """A job has ended: honour what it brought."""
        if self._job is None or not self._job.handle.done():
            return
        job, self._job = self._job, None
        try:
            result = await job.handle
        except (ActivityError, asyncio.CancelledError) as error:
            await self._lost(job, error)
            return
        match result:
            case Refreshed():
                await self._refreshed(result)
            case Authenticated():
                await self._authenticated(result, job)
            case RevokedAtProvider():
                await self._revoked_at_provider(result)

    async def _refreshed(self, result: Refreshed) -> None:
        if result.envelope is not None:
            result = Refreshed.of(await deeds.store(result.envelope))
        if result.ended:
            self._hear(Disconnect())  # the row knows before the signal has come
        await self._become(self.life.after_refresh(result, workflow.now()))

    async def _authenticated(self, result: Authenticated, job: deeds.Job) -> None:
        if result.envelope is not None:
            result = Authenticated.of(await deeds.store(result.envelope))
        stands = self.life.is_newer(result.standing) or self.life.status is ConnectionStatus.ACTIVE
        if result.reason is None and not stands:
            # An answer given before: it brought what the connection has lost since.
            job.refuse("this authorization has been used before; begin anew")
            return
        change, reason = self.life.after_exchange(result, workflow.now(), stopped=job.stopped)
        await self._become(change)
        job.answer(self.life.view, reason)

    async def _revoked_at_provider(self, result: RevokedAtProvider) -> None:
        self.life.receipt = result.tokens
        if result.settled or not self.life.postpone_revocation(workflow.now(), result.retry_after):
            self.life.revocation_is_over()
            if self.life.ending is None:
                await self._shred()

    async def _lost(self, job: deeds.Job, error: BaseException) -> None:
        """A job came to nothing for reasons of our own, or was stopped before it began."""
        if job.ask is not None:
            job.ask.fail_with(error)
        elif job.revokes:
            await self._revoked_at_provider(RevokedAtProvider(settled=False))
        elif self.life.status is ConnectionStatus.ACTIVE:
            self.life.struggle(Refreshed(outcome=Outcome.UNAVAILABLE), workflow.now())

    # -- the three things everything above comes down to ---------------------------------------

    async def _become(self, change: Change | None) -> None:
        """Change the status: the only way it changes, and never without being stored."""
        if change is not None and change.status is not self.life.status:
            over = change.status is ConnectionStatus.DISCONNECTED
            self.life.view = await deeds.persist(
                self.life.view.connection_id,
                change.status,
                change.reason,
                self._receipt() if over else None,
            )
            self.life.settle_in(workflow.now())
        self._visibility.index(self.life.view)

    async def _shred(self) -> None:
        """Destroy the secrets, with the receipt of what was revoked before."""
        receipt = self._receipt()
        await deeds.shred(receipt)
        self.life.forget_secrets(receipt)

    def _receipt(self) -> Receipt:
        return Receipt(
            connection_id=self.life.view.connection_id, tokens=self.life.receipt, shredded=True
        )

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


def is_past(at: datetime | None) -> bool:
    """Whether this instant has come, by the workflow's clock."""
    return at is not None and workflow.now() >= at
