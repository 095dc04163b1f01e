"""Questions that wait for the workflow's loop: an update records one, the loop answers it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.messages import Message

AnswerT = TypeVar("AnswerT")


@dataclass
class Ask(Generic[AnswerT]):
    """One question and, in time, its answer or the reason there is none."""

    question: Message
    _answer: AnswerT | None = None
    _error: ApplicationError | None = None

    def answer(self, answer: AnswerT) -> None:
        """Answer it."""
        self._answer = answer

    def fail(self, message: str, kind: str, *details: object) -> None:
        """Say that there will be no answer."""
        self._error = ApplicationError(message, *details, type=kind, non_retryable=True)

    def fail_with(self, error: BaseException) -> None:
        """Pass on why an activity failed."""
        cause = error.cause if isinstance(error, ActivityError) else None
        if isinstance(cause, ApplicationError):
            self.fail(cause.message, cause.type or "Error")
        else:
            self.fail("the database or the workers are away; try again", "Unavailable")

    async def wait(self) -> AnswerT:
        """The answer, once the loop has found it."""
        await workflow.wait_condition(lambda: self._answer is not None or self._error is not None)
        if self._answer is None:
            assert self._error is not None  # one of the two was waited for
            raise self._error
        return self._answer
