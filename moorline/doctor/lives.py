"""Connections whose workflow is gone: terminated by somebody, or lost with a Temporal database.

Their row says how they were; a workflow that is started again takes the life up from there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from client.imports import BIRTH_TIMEOUT, take_up
from client.messaging import Messaging
from domain.errors import Conflict
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.setup import in_words_of_temporal
from storage import staging, views
from storage.database import Database, now
from workflows.messages import StartConnection
from workflows.names import workflow_id

MOST_OF_A_STATUS: Final = 2_000
AT_ONCE: Final = 20
NAMED: Final = 5
UNKNOWN_STATUS: Final = "is not a valid WorkflowExecutionStatus"
"""The SDK cannot read the status of a paused workflow, which lives all the same."""


@dataclass(frozen=True)
class Unfinished:
    """Connections that live, by their row."""

    views: Sequence[ConnectionView] = ()
    capped: bool = False

    @property
    def providers(self) -> set[str]:
        """Whom they are connections to."""
        return {view.provider_slug for view in self.views}


async def unfinished(database: Database) -> Unfinished:
    """The newest of each status."""
    found: list[ConnectionView] = []
    capped = False
    async with database.transaction() as session:
        for status in ConnectionStatus:
            if status in ConnectionStatus.terminal_states():
                continue
            some = await views.find(session, status=status, limit=MOST_OF_A_STATUS)
            capped = capped or len(some) == MOST_OF_A_STATUS
            found.extend(some)
    return Unfinished(found, capped)


async def imports(database: Database, messaging: Messaging, *, fix: bool) -> AsyncIterator[Finding]:
    """Find accepted ``ConnectProvider`` commands that nobody carries out; ``fix``: have it done."""
    async with database.transaction() as session:
        kept = await staging.unborn(session, await now(session) - BIRTH_TIMEOUT)
    if not kept:
        return
    if not fix:
        said = f"{len(kept)} accepted for a connection that is not there yet"
        yield bad("imports", said, "run a worker, or `moorline doctor --fix`")
        return
    started = 0
    for row in kept:
        with suppress(Conflict):  # it is being carried out, or another that was given with its id
            await take_up(messaging, row)
            started += 1
    yield ok("imports", f"{started} that were accepted and forgotten have been taken up")


async def lives(
    living: Unfinished, client: Client, messaging: Messaging, *, fix: bool
) -> AsyncIterator[Finding]:
    """Find whose workflow is gone; ``fix``: start them again."""
    with in_words_of_temporal(client):
        gone = await _gone(client, living.views)
    if living.capped:
        said = f"only the newest {MOST_OF_A_STATUS} of a status were looked at"
        yield warn("connections", said)
    if not gone:
        yield ok("connections", f"each of {len(living.views)} has its workflow")
    elif fix:
        yield await _started_again(messaging, gone)
    else:
        named = ", ".join(str(view.connection_id) for view in gone[:NAMED])
        more = " ..." if len(gone) > NAMED else ""
        said = f"{len(gone)} of {len(living.views)} have lost their workflow: {named}{more}"
        yield bad("connections", said, "run `moorline doctor --fix`")


async def _gone(client: Client, living: Sequence[ConnectionView]) -> list[ConnectionView]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def is_gone(view: ConnectionView) -> bool:
        async with turns:
            return not await _lives(client, workflow_id(view.connection_id))

    answers = await asyncio.gather(*(is_gone(view) for view in living))
    return [view for view, gone in zip(living, answers, strict=True) if gone]


async def _lives(client: Client, id_: str) -> bool:
    try:
        described = await client.get_workflow_handle(id_).describe()
    except ValueError as error:
        if UNKNOWN_STATUS in str(error):
            return True
        raise
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING


async def _started_again(messaging: Messaging, gone: Sequence[ConnectionView]) -> Finding:
    started = 0
    for view in gone:
        start = StartConnection(
            connection_id=view.connection_id,
            user_id=view.user_id,
            provider_slug=view.provider_slug,
            alias=view.alias,
        )
        try:
            await messaging.start(start, again=True)
            started += 1
        except Conflict:
            continue  # somebody else was quicker
    return ok("connections", f"{started} that had lost their workflow were started again")
