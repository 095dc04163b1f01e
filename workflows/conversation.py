"""What a connection is told and asked: its signals, updates and queries.

Handlers only record. A signal is taken down and the loop heeds it; an update is a question that
the loop answers; a query shows what is known. Nothing here changes a status or calls anyone, and
no payload, however wrong, can stop the life behind it.
"""

from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.explanation import Explanation, explain
from domain.schedule import capped_min_ttl
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from domain.words import cause
from workflows.asks import Ask
from workflows.deadline import Deadline
from workflows.deeds import Job
from workflows.life import Life
from workflows.messages import (
    AuthorizationBegun,
    Authorize,
    BeginAuthorization,
    Command,
    Disconnect,
    EnsureFresh,
    Fresh,
    Message,
    Nudge,
    Rename,
    Revoke,
    SupplyKey,
    SyncNow,
    asked,
    heard,
)
from workflows.reading import Reading
from workflows.renewal import is_overdue

AnswerT = TypeVar("AnswerT")

FRESH_PATIENCE: Final = timedelta(seconds=25)
MOST_WAITING: Final = 5
"""Callers that may wait for a fresh token at once; more are told that we are busy."""


class Conversation:
    """The handlers, and what they have taken down."""

    def __init__(self) -> None:
        self._life: Life | None = None
        self._refusal: str | None = None
        self._inbox: list[Command] = []
        self._beginnings: list[Ask[AuthorizationBegun]] = []
        self._authorizations: list[Ask[ConnectionView]] = []
        self._renames: list[Ask[ConnectionView]] = []
        self._waiting = 0
        self._job: Job | None = None
        self._reading = Reading()
        self._deadline = Deadline()

    @property
    def life(self) -> Life:
        """The life, which has begun by the time anyone asks."""
        assert self._life is not None
        return self._life

    # -- signals: total, and never raising -----------------------------------------------------

    @workflow.signal(description="The user takes the grant back.")
    def revoke(self, command: object = None, *_: object) -> None:
        """ACTIVE becomes REVOKED, PENDING becomes FAILED; tokens still held are revoked."""
        self._hear(heard(Revoke, command))

    @workflow.signal(description="The user removes the connection, for good.")
    def disconnect(self, command: object = None, *_: object) -> None:
        """Revoke, shred, DISCONNECTED: from any status."""
        self._hear(heard(Disconnect, command))

    @workflow.signal(description="Continue as new, for instance to move to a new build.")
    def nudge(self, command: object = None, *_: object) -> None:
        """Has no effect on the connection."""
        self._hear(heard(Nudge, command))

    @workflow.signal(description="Read the connection's data now.")
    def sync_now(self, command: object = None, *_: object) -> None:
        """Also while it is being read: then once more, for what has come since."""
        self._hear(heard(SyncNow, command))

    def _hear(self, command: Command) -> None:
        # One of a kind is enough, since each is idempotent: a flood of signals does not pile up.
        if all(type(command) is not type(other) for other in self._inbox):
            self._inbox.append(command)

    # -- updates: refused before they cost history, answered by the loop -----------------------

    @workflow.update(description="Begin an authorization; answers with a page for the user.")
    async def begin_authorization(
        self, question: object = None, *extra: object
    ) -> AuthorizationBegun:
        """Works in any status but DISCONNECTED."""
        return await self._ask(self._beginnings, asked(BeginAuthorization, question, extra))

    @begin_authorization.validator
    def _check_begin(self, question: object = None, *extra: object) -> None:
        asked(BeginAuthorization, question, extra)
        self._refuse_at_the_end()

    @workflow.update(description="Exchange what an authorization brought; answers when it is done.")
    async def authorize(self, question: object = None, *extra: object) -> ConnectionView:
        """Afterwards the connection is ACTIVE; else the update fails, saying why."""
        return await self._ask(self._authorizations, asked(Authorize, question, extra))

    @authorize.validator
    def _check_authorize(self, question: object = None, *extra: object) -> None:
        asked(Authorize, question, extra)
        self._refuse_at_the_end()

    @workflow.update(description="Put what the user gives in the place of what is stored.")
    async def supply_key(self, question: object = None, *extra: object) -> ConnectionView:
        """Afterwards the connection is ACTIVE; else the update fails, saying why."""
        return await self._ask(self._authorizations, asked(SupplyKey, question, extra))

    @supply_key.validator
    def _check_key(self, question: object = None, *extra: object) -> None:
        asked(SupplyKey, question, extra)
        self._refuse_at_the_end()
        if self._life and not self.life.view.credential_type.is_given:
            raise _refusal("the connection has nothing that its user could replace", "InvalidInput")

    @workflow.update(description="Give the connection another name.")
    async def rename(self, question: object = None, *extra: object) -> ConnectionView:
        """At most 100 characters; null takes the name away."""
        return await self._ask(self._renames, asked(Rename, question, extra))

    @rename.validator
    def _check_rename(self, question: object = None, *extra: object) -> None:
        asked(Rename, question, extra)
        self._refuse_at_the_end()

    @workflow.update(description="See to it that the access token lives long enough.")
    async def ensure_fresh(self, question: object = None, *extra: object) -> Fresh:
        """Answers within 25 s, or fails as ``NotFresh`` with ``retry_at``."""
        want = asked(EnsureFresh, question, extra)
        self._waiting += 1
        try:
            await self._begun()
            if not self._is_fresh(want):
                self.life.hurry(workflow.now(), force=want.force)
                self._rearm()
                await workflow.wait_condition(
                    lambda: self._is_settled(want), timeout=FRESH_PATIENCE
                )
        except TimeoutError:
            pass  # judged below, like every other end of the wait
        finally:
            self._waiting -= 1
        return self._fresh(want)

    @ensure_fresh.validator
    def _check_fresh(self, question: object = None, *extra: object) -> None:
        asked(EnsureFresh, question, extra)
        self._refuse_at_the_end()
        self._refuse_unless_active()
        if self._waiting >= MOST_WAITING:
            raise _refusal("enough callers wait for a token already; try again", "Busy")

    # -- queries: no secret, ever --------------------------------------------------------------

    @workflow.query(description="The connection as anyone may see it.")
    def view(self) -> ConnectionView:
        """Fails until the connection has been stored."""
        if self._life is None:
            raise _refusal(self._refusal or "the connection is being stored", "NotReady")
        return self._life.view

    @workflow.query(description="The connection in plain words.")
    def explain(self) -> Explanation:
        """Status, since when, why, what was tried, what happens next and when, who must act."""
        return explain(self.view(), workflow.now())

    # -- how questions are asked and refused ---------------------------------------------------

    async def _ask(self, queue: list[Ask[AnswerT]], question: Message) -> AnswerT:
        await self._begun()
        ask: Ask[AnswerT] = Ask(question)
        queue.append(ask)
        return await ask.wait()

    def _rearm(self) -> None:
        self._deadline.set(self.life.next_deadline(may_read=self._reading.may_start))

    def _turn_away(self) -> None:
        """The end has begun: nobody can be authorized any more."""
        for beginning in self._beginnings:
            beginning.fail("the connection has been disconnected", "Ended")
        for authorization in self._authorizations:
            authorization.fail("the connection has been disconnected", "Ended")
        self._beginnings.clear()
        self._authorizations.clear()

    async def _begun(self) -> None:
        await workflow.wait_condition(lambda: self._life is not None or self._refusal is not None)
        if self._refusal is not None:
            raise _refusal(self._refusal, "Refused")

    def _refuse_at_the_end(self) -> None:
        if self._life is None:
            return
        if self.life.ending or self.life.status is ConnectionStatus.DISCONNECTED:
            raise _refusal("the connection has been disconnected", "Ended")
        if is_overdue():
            raise _refusal("the workflow is about to continue as new; try again", "Draining")

    def _refuse_unless_active(self) -> None:
        if self._life is None:
            return
        if self.life.status is not ConnectionStatus.ACTIVE or self.life.ending:
            raise _refusal(
                f"the connection is {self.life.status}",
                "NotActive",
                {"status": self.life.status, "reason": self.life.view.reason},
            )

    def _is_settled(self, want: EnsureFresh) -> bool:
        """Whether waiting on would change nothing: it is fresh, or will not become so soon."""
        if self.life.status is not ConnectionStatus.ACTIVE or self.life.ending:
            return True
        if self._is_fresh(want):
            return True
        if self._job is not None or self.life.is_due(workflow.now()):
            return False
        trouble, refresh_at = self.life.view.trouble, self.life.refresh_at
        if refresh_at is None or (trouble is not None and trouble.cause.needs_operator):
            return True
        return refresh_at > workflow.now() + FRESH_PATIENCE

    def _is_fresh(self, want: EnsureFresh) -> bool:
        standing = self.life.standing
        if standing is None:
            return False
        if want.seen_generation is not None and standing.generation <= want.seen_generation:
            return False
        if standing.expires_at is None:
            return True
        return standing.expires_at - workflow.now() >= self._promised(want)

    def _promised(self, want: EnsureFresh) -> timedelta:
        lifetime = self.life.standing.lifetime if self.life.standing else None
        return capped_min_ttl(timedelta(seconds=want.min_ttl_s), lifetime)

    def _fresh(self, want: EnsureFresh) -> Fresh:
        standing = self.life.standing
        self._refuse_unless_active()
        if standing is None or not self._is_fresh(want):
            retry_at = self.life.refresh_at
            trouble = self.life.view.trouble
            kind = self.life.view.credential_type
            why = f": {cause(trouble.cause, kind)}" if trouble else ""
            raise _refusal(
                f"there is no token that lives long enough, for now{why}",
                "NotFresh",
                {
                    "retry_at": retry_at.isoformat() if retry_at else None,
                    "retry_in_s": (retry_at - workflow.now()).total_seconds() if retry_at else None,
                },
            )
        return Fresh(
            generation=standing.generation,
            expires_at=standing.expires_at,
            min_ttl_s=self._promised(want).total_seconds(),
        )


def _refusal(message: str, kind: str, *details: object) -> ApplicationError:
    return ApplicationError(message, *details, type=kind, non_retryable=True)
