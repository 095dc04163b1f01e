"""Temporal: whether it answers, is set up for us, and whether anybody works for it."""

import time
from collections.abc import AsyncIterator

from temporalio.client import Client

from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.processes import pollers
from moorline.settings import TemporalSettings
from moorline.setup import WANTED, current_build, in_words_of_temporal, missing_attributes

SILENT_AFTER_S = 90
"""A worker asks again at least once a minute; who has not for longer is gone."""


async def attributes(client: Client) -> AsyncIterator[Finding]:
    """Whether the namespace knows our search attributes."""
    missing = await missing_attributes(client)
    if missing:
        said = f"namespace {client.namespace!r} lacks {', '.join(missing)}"
        yield bad("search attributes", said, "run `moorline setup`")
    else:
        yield ok("search attributes", f"all {len(WANTED)} are in namespace {client.namespace!r}")


async def workers(client: Client, settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether anybody asks for work."""
    with in_words_of_temporal(client):
        asking = await pollers(client, settings.task_queue)
    living = [
        poller
        for poller in asking
        if time.time() - poller.last_access_time.ToSeconds() < SILENT_AFTER_S
    ]
    if living:
        yield ok("workers", f"{len(living)} ask for work on task queue {settings.task_queue!r}")
    else:
        said = f"nobody asks for work on task queue {settings.task_queue!r}: everything waits"
        yield bad("workers", said, "run `moorline worker`")


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
