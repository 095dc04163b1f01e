"""Telling and asking one connection's workflow: the wire of ``docs/messages.md``, typed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from client.refusals import Draining, in_our_words
from domain.errors import Conflict, Unreachable
from domain.pages import Pages
from domain.view import Receipt
from workflows.connection import ConnectionWorkflow
from workflows.messages import (
    AuthorizationBegun,
    BeginAuthorization,
    EnsureFresh,
    Fresh,
    Message,
    StartConnection,
)
from workflows.names import TASK_QUEUE, workflow_id

AnswerT = TypeVar("AnswerT")

UPDATE_TIMEOUT: Final = timedelta(seconds=90)
DRAINING_PATIENCE_S: Final = 30
"""Longer than anyone waits for a fresh token in the run that ends; a call may take longer still."""
DRAINING_PAUSE_S: Final = 0.25
FRESH_BUCKET_S: Final = 10
"""Processes that want a newer token within the same so many seconds share one update."""


class Messaging:
    """Messages to the workflows of connections.

    Args:
        task_queue: where the workers listen.
    """

    def __init__(self, temporal: Client, task_queue: str = TASK_QUEUE) -> None:
        self._temporal = temporal
        self._task_queue = task_queue

    async def start(self, start: StartConnection, *, again: bool = False) -> None:
        """Start a connection's life; ``again``: also where an earlier workflow was lost.

        Raises:
            Conflict: it lives already, or has been lived.
        """
        with in_our_words(start.connection_id), _already(start.connection_id):
            await self._temporal.start_workflow(
                ConnectionWorkflow.run,
                start,
                id=workflow_id(start.connection_id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=_reuse(again),
            )

    async def start_authorizing(self, start: StartConnection, pages: Pages) -> AuthorizationBegun:
        """Start a connection's life and its first authorization, in one.

        Raises:
            Conflict: it lives already, or has been lived.
        """
        operation = WithStartWorkflowOperation(
            ConnectionWorkflow.run,
            start,
            id=workflow_id(start.connection_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=_reuse(False),
        )
        with in_our_words(start.connection_id), _already(start.connection_id):
            answer = await self._temporal.execute_update_with_start_workflow(
                "begin_authorization",
                BeginAuthorization(pages=pages),
                start_workflow_operation=operation,
                result_type=AuthorizationBegun,
                rpc_timeout=UPDATE_TIMEOUT,
            )
            assert isinstance(answer, AuthorizationBegun)
            return answer

    async def ask(
        self,
        connection_id: UUID,
        name: str,
        question: Message,
        answer: type[AnswerT],
        update_id: str | None = None,
    ) -> AnswerT:
        """An update: waits for its answer, and for the next run where this one is about to end."""

        async def send() -> AnswerT:
            with in_our_words(connection_id):
                result = await self._handle(connection_id).execute_update(
                    name,
                    question,
                    id=update_id,
                    result_type=answer,
                    rpc_timeout=UPDATE_TIMEOUT,
                )
            assert isinstance(result, answer)
            return result

        return await _to_the_next_run(send)

    async def tell(self, connection_id: UUID, name: str, command: Message) -> None:
        """A signal: recorded by the server, heeded by the workflow in time.

        In a flood of them it waits for the next run, which takes signals again.

        Raises:
            Unreachable: nothing was recorded. Temporal is away, or no next run came in time.
        """

        async def send() -> None:
            with in_our_words(connection_id):
                await self._handle(connection_id).signal(name, command)

        try:
            await _to_the_next_run(send)
        except Draining as full:
            raise Unreachable(str(full)) from None

    async def newer_than(
        self, connection_id: UUID, generation: int, min_ttl: timedelta, at: datetime
    ) -> Fresh:
        """Have a token newer than ``generation`` made; all who want one share the same update.

        ``at`` is the instant of the database: who shares must not depend on their own clocks, and
        one that is set back would hear an answer of then.
        """
        question = EnsureFresh(min_ttl_s=min_ttl.total_seconds(), seen_generation=generation)
        bucket = int(at.timestamp()) // FRESH_BUCKET_S
        update_id = f"fresh-{generation}-{bucket}"
        return await self.ask(connection_id, "ensure_fresh", question, Fresh, update_id)

    async def refresh_now(self, connection_id: UUID, generation: int) -> Fresh:
        """Have a token newer than ``generation`` made, without regard to backoff."""
        question = EnsureFresh(seen_generation=generation, force=True)
        return await self.ask(connection_id, "ensure_fresh", question, Fresh)

    async def result(self, connection_id: UUID) -> Receipt:
        """The receipt, once the life is over."""
        with in_our_words(connection_id):
            return await self._handle(connection_id).result()

    def _handle(self, connection_id: UUID) -> WorkflowHandle[ConnectionWorkflow, Receipt]:
        return self._temporal.get_workflow_handle_for(
            ConnectionWorkflow.run, workflow_id(connection_id)
        )


async def _to_the_next_run(send: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """Send a message; where a run is about to end, again, until the next one takes it."""
    give_up_at = time.monotonic() + DRAINING_PATIENCE_S
    while True:
        try:
            return await send()
        except Draining:
            if time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(DRAINING_PAUSE_S)


@contextmanager
def _already(connection_id: UUID) -> Iterator[None]:
    try:
        yield
    except WorkflowAlreadyStartedError:
        raise Conflict(f"connection {connection_id} exists already") from None


def _reuse(again: bool) -> WorkflowIDReusePolicy:
    # A start that was refused may be corrected; a life that was lived is not lived again.
    policy = WorkflowIDReusePolicy
    return policy.ALLOW_DUPLICATE if again else policy.ALLOW_DUPLICATE_FAILED_ONLY
