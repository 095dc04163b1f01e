"""The life of a connection, from PENDING to DISCONNECTED: one workflow, for years.

``run`` is a loop over the status. Handlers (``workflows.conversation``) only record; one method
waits (``workflows.waiting``); one changes the status (``workflows.answers``, beside what providers
answer). A call to the provider is a *job* that runs beside the loop, one at a time, so that nothing
a user says has to wait for a provider. No secret passes through here, ever.
"""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from domain.status import ConnectionStatus, StatusReason
from domain.view import Attempt, Receipt
from workflows import deeds
from workflows.answers import Answers
from workflows.life import Change, Life
from workflows.messages import (
    AuthorizationBegun,
    BeginAuthorization,
    Disconnect,
    Nudge,
    Rename,
    Revoke,
    StartConnection,
    SyncNow,
    started,
)


@workflow.defn
class ConnectionWorkflow(Answers):
    """One connection's life."""

    @workflow.init
    def __init__(self, start: object = None) -> None:
        super().__init__(started(start))

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
            if await self._reading.conclude(self.life):
                self._hear(Disconnect())  # the row knows before the signal has come
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
        if self._job is None and _is_past(self.life.give_up_at):
            await self._become(Change(ConnectionStatus.FAILED, StatusReason.AUTHORIZATION_TIMEOUT))

    async def _keep_fresh(self) -> None:
        """ACTIVE: refresh before expiry, until the grant itself ends; read data meanwhile."""
        self._start_asked_job()
        if self._job is not None:
            return
        if _is_past(self.life.ends_at):
            await self._become(Change(ConnectionStatus.EXPIRED, self.life.ends_because))
        elif _is_past(self.life.warn_at):
            await self._warn()
        elif _is_past(self.life.refresh_at):
            self._job = deeds.start_refresh(self.life.view)
        else:
            self._reading.start_if_due(self.life)

    async def _await_the_user(self) -> None:
        """EXPIRED, REVOKED or FAILED: only the user can bring it back; not for ever."""
        self._start_asked_job()
        if self._job is None and _is_past(self.life.give_up_at):
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
            if _is_past(self.life.revocation.next_at):
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
        else:
            view = await deeds.void_authorizations(self.life.view.connection_id)
            self.life.show(attempt=view.attempt)

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
        assert isinstance(ask.question, BeginAuthorization)  # the queue holds nothing else
        connection_id, pages = self.life.view.connection_id, ask.question.pages
        try:
            begun = await deeds.begin_authorization(connection_id, pages)
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


def _is_past(at: datetime | None) -> bool:
    """Whether this instant has come, by the workflow's clock."""
    return at is not None and workflow.now() >= at
