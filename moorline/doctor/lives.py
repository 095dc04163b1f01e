"""Connections whose workflow is gone or stands still: terminated, lost with a Temporal database,
without its payload key, or without a worker on its task queue.

Their row says how they were; a workflow that is started again takes the life up from there.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from temporalio.client import Client

from client.imports import BIRTH_TIMEOUT, take_up
from client.messaging import Messaging
from domain.errors import Conflict
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.doctor.running import Found
from moorline.doctor.temporal import at_work
from storage import staging, views
from storage.database import Database, now
from workflows.messages import StartConnection

MOST_OF_A_STATUS: Final = 2_000
NAMED: Final = 5
STUCK: Final = (
    "the worker's log says why; after a change of MOORLINE_PAYLOAD_KEYS give all processes the "
    "same keys again, after a deploy go back to the build before"
)


@dataclass(frozen=True)
class Unfinished:
    """Connections that live, by their row."""

    views: Sequence[ConnectionView] = ()
    capped: bool = False

    @property
    def providers(self) -> set[str]:
        """Whom they are connections to."""
        return {view.provider_slug for view in self.views}


async def unfinished(database: Database, *, everything: bool) -> Unfinished:
    """The newest of each status; ``everything``: however many there are."""
    found: list[ConnectionView] = []
    if everything:
        page: Sequence[ConnectionView] = ()
        while page := await _page(database, page[-1].connection_id if page else UUID(int=0)):
            found.extend(page)
        return Unfinished(found)
    capped = False
    async with database.transaction() as session:
        for status in ConnectionStatus:
            if status in ConnectionStatus.terminal_states():
                continue
            some = await views.find(session, status=status, limit=MOST_OF_A_STATUS)
            capped = capped or len(some) == MOST_OF_A_STATUS
            found.extend(some)
    return Unfinished(found, capped)


async def _page(database: Database, after: UUID) -> Sequence[ConnectionView]:
    async with database.transaction() as session:
        return await views.unfinished(session, after, MOST_OF_A_STATUS)


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
    living: Unfinished,
    found: Sequence[Found],
    database: Database,
    messaging: Messaging,
    *,
    fix: bool,
) -> AsyncIterator[Finding]:
    """Find whose workflow is gone, and who stands still; ``fix``: start again what is gone."""
    gone = [each.view for each in found if not each.lives and not each.over]
    stuck = [each.view for each in found if each.lives and each.failures > 0]
    if living.capped:
        said = f"only the newest {MOST_OF_A_STATUS} of a status were looked at"
        yield warn("connections", said, "`moorline doctor --fix` looks at all of them")
    if gone and fix:
        yield await _started_again(database, messaging, gone)
    elif gone:
        said = f"{len(gone)} of {len(found)} have lost their workflow: {named(gone)}"
        yield bad("connections", said, "run `moorline doctor --fix`")
    if stuck:
        said = (
            f"{len(stuck)} of {len(found)} stand still, their workflow task fails again and again: "
        )
        yield bad("connections", said + named(stuck), STUCK)
    failing = [each for each in found if each.lives and each.fails_at is not None]
    if failing:
        at = ", ".join(sorted({str(each.fails_at) for each in failing}))
        said = f"{len(failing)} of {len(found)} cannot go on: {at} fails again and again: "
        mend = "the worker's log and the pending activities in the web UI say why; mend that"
        yield bad("connections", said + named([each.view for each in failing]), mend)
    if not gone and not stuck and not failing:
        yield ok("connections", f"each of {len(found)} has its workflow, and none stands still")


async def elsewhere(
    found: Sequence[Found], client: Client, task_queue: str
) -> AsyncIterator[Finding]:
    """Find those whose workers must ask for work on another task queue than the one set here."""
    by_queue: dict[str, list[ConnectionView]] = {}
    for each in found:
        if each.lives and each.task_queue not in {None, task_queue}:
            by_queue.setdefault(str(each.task_queue), []).append(each.view)
    for queue, views_of in by_queue.items():
        said = f"{len(views_of)} live on task queue {queue!r}, not on {task_queue!r}"
        mend = f"set MOORLINE_TASK_QUEUE={queue}, or run a worker with it as long as they live"
        if await at_work(client, queue):
            yield warn("task queue", f"{said}, where a worker is: {named(views_of)}", mend)
        else:
            yield bad("task queue", f"{said}, and nobody works there: {named(views_of)}", mend)


def named(some: Sequence[ConnectionView]) -> str:
    """The ids of the first of them."""
    more = " ..." if len(some) > NAMED else ""
    return ", ".join(str(view.connection_id) for view in some[:NAMED]) + more


async def _started_again(
    database: Database, messaging: Messaging, gone: Sequence[ConnectionView]
) -> Finding:
    started = 0
    for listed in gone:
        async with database.transaction() as session:
            view = await views.get(session, listed.connection_id)
        if view.status is ConnectionStatus.DISCONNECTED:
            continue  # it came to its end while we were looking
        started += await started_again(messaging, view)
    return ok("connections", f"{started} that had lost their workflow were started again")


async def started_again(messaging: Messaging, view: ConnectionView) -> bool:
    """Start the workflow of a connection from its row; False: somebody else was quicker."""
    start = StartConnection(
        connection_id=view.connection_id,
        user_id=view.user_id,
        provider_slug=view.provider_slug,
        alias=view.alias,
    )
    try:
        await messaging.start(start, again=True)
    except Conflict:
        return False
    return True
