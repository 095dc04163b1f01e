"""What providers answer, and what it comes to: a job has ended, and the life takes note of it.

Everything comes down to three things: the status changes, the secrets are destroyed, or there is
a next time. What follows from which answer is written in ``workflows.life``.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.payloads import Authenticated, Refreshed, RevokedAtProvider
from domain.outcomes import Outcome
from domain.status import ConnectionStatus
from domain.view import Receipt
from workflows import deeds
from workflows.life import Change
from workflows.messages import Disconnect
from workflows.waiting import Waiting


class Answers(Waiting):
    """Concluding jobs; changing the status, and storing it."""

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
        # In PENDING it can only be its own: a life that was lost in between is taken up with it.
        live = self.life.status in {ConnectionStatus.ACTIVE, ConnectionStatus.PENDING}
        stands = result.standing is not None and (live or self.life.is_newer(result.standing))
        if result.reason is None and not stands:
            # An answer given before: it brought what the connection has lost since.
            job.refuse("this authorization has been used before; begin anew")
            return
        change, reason = self.life.after_exchange(result, workflow.now(), stopped=job.stopped)
        await self._become(change)
        job.answer(self.life.view, reason)

    async def _revoked_at_provider(self, result: RevokedAtProvider) -> None:
        if result.asked:
            self.life.receipt = result.tokens
        if result.settled or not self.life.postpone_revocation(result, workflow.now()):
            self.life.revocation_is_over()
            if self.life.ending is None:
                await self._shred()

    async def _lost(self, job: deeds.Job, error: BaseException) -> None:
        """A job came to nothing for reasons of our own, or was stopped before it began."""
        if job.ask is not None:
            job.ask.fail_with(error)
        elif job.revokes:
            await self._revoked_at_provider(RevokedAtProvider(settled=False, asked=False))
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
