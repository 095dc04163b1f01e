"""Temporal: whether it answers, is set up for us, and whether anybody works for it."""

import time
from collections.abc import AsyncIterator

from temporalio.client import Client

from domain.errors import NotConfigured
from moorline import limits
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.processes import pollers
from moorline.settings import TemporalSettings
from moorline.setup import WANTED, current_build, in_words_of_temporal, missing_attributes

NAMESPACE = (
    "set TEMPORAL_NAMESPACE to one of Moorline's own; `temporal operator namespace create "
    "--namespace {name}` makes one"
)
SILENT_AFTER_S = 90
"""A worker asks again at least once a minute; who has not for longer is gone."""


async def attributes(client: Client) -> AsyncIterator[Finding]:
    """Whether the namespace knows our search attributes."""
    try:
        missing = await missing_attributes(client)
    except NotConfigured as error:
        yield bad("search attributes", str(error), NAMESPACE.format(name=client.namespace))
        return
    if missing:
        said = f"namespace {client.namespace!r} lacks {', '.join(missing)}"
        yield bad("search attributes", said, "run `moorline setup`")
    else:
        yield ok("search attributes", f"all {len(WANTED)} are in namespace {client.namespace!r}")


async def workers(client: Client, settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether anybody asks for work."""
    living = await at_work(client, settings.task_queue)
    if living:
        yield ok("workers", f"{living} ask for work on task queue {settings.task_queue!r}")
    else:
        said = f"nobody asks for work on task queue {settings.task_queue!r}: everything waits"
        yield bad("workers", said, "run `moorline worker`")


async def at_work(client: Client, task_queue: str) -> int:
    """How many ask for work on a task queue."""
    with in_words_of_temporal(client):
        asking = await pollers(client, task_queue)
    return sum(
        time.time() - poller.last_access_time.ToSeconds() < SILENT_AFTER_S for poller in asking
    )


async def limit(client: Client, settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether the limit of calls to a provider that is set here is the one that is kept."""
    wanted = settings.calls_per_second
    with in_words_of_temporal(client):
        if await limits.is_applied(client, settings):
            said = "no limit" if wanted is None else f"{wanted:g} to each provider"
            yield ok("calls per second", said)
        elif wanted is None:
            said = "a limit is kept, and MOORLINE_CALLS_PER_SECOND is not set here"
            yield warn("calls per second", said, "set it, or run `moorline setup` to take it away")
        else:
            said = f"MOORLINE_CALLS_PER_SECOND is {wanted:g}, and it is not kept for all providers"
            yield bad("calls per second", said, "run `moorline setup` to apply it")


async def version(client: Client, settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether new connections go to the build that is set here."""
    with in_words_of_temporal(client):
        current = await current_build(client)
    if current == settings.build_id:
        yield ok("worker version", "unversioned" if current is None else f"{current} is current")
    elif settings.build_id is None:
        said = f"{current} is current, and MOORLINE_BUILD_ID is not set here"
        yield warn("worker version", said, f"set MOORLINE_BUILD_ID={current} for workers")
    else:
        said = f"{current or 'none'} is current, but MOORLINE_BUILD_ID is {settings.build_id}"
        yield bad("worker version", said, "run `moorline setup` to make it the current one")
