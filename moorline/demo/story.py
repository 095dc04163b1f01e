"""The order of the story: what must come after what, and what goes on side by side."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from rich.console import Console

from domain.errors import MoorlineError
from moorline.demo import crashes, ordinary, over_http, plain_cli, steps
from moorline.demo.judging import statuses
from moorline.demo.stage import Stage, staged
from moorline.demo.timeline import Report, Step, Timeline, shown
from moorline.stack import StackError
from workflows.names import workflow_id

UP = "stack up"
LOGIN = "PENDING, then ACTIVE by a real login"
IMPORT = "another one imported by ConnectProvider"
FRESH = "short tokens kept fresh, leases at random"
GRACE = "worker killed mid-rotation: grace window"
LOSS = "worker killed mid-rotation: no grace"
REVOKE = "revoked by the user"
AGAIN = "authorized again in place"
END = "disconnected, with a receipt"
CLI = "a life by the plain temporal command"
PAGES = "another one over HTTP, on the gateway's pages"
KEY = "another one by API key"
READ = "accounts, holdings, transactions read"
CUT = "worker killed in the middle of a sync"
OUTAGE = "the provider away for a while"
TAKEN = "access taken away at the provider"
HUNT = "canary hunt through files and logs"

NAMES = (
    *(UP, LOGIN, IMPORT, FRESH, GRACE, LOSS, REVOKE, AGAIN, END),
    *(PAGES, KEY, READ, CUT, OUTAGE, TAKEN, CLI, HUNT),
)
"""The steps in the order in which they are shown."""

Work = Callable[[], Awaitable[str]]


async def tell(state: Path, console: Console, *, hold: bool = False) -> Report:
    """Tell the whole story, and report how it went.

    Args:
        state: a folder of its own; what an earlier demo left there is removed.
        hold: keep everything running at the end until interrupted, to look around.
    """
    timeline = Timeline([Step(name) for name in NAMES])
    async with shown(timeline, console):
        try:
            async with staged(state) as stage:
                await _tell(stage, timeline)
                timeline.ended_at = time.monotonic()
                if hold:
                    await _hold(timeline, console)
        except (StackError, MoorlineError) as error:
            timeline.steps[0].detail = str(error)
    return timeline.report()


async def _tell(stage: Stage, timeline: Timeline) -> None:
    connection_id = uuid4()
    timeline.steps[0].began_at = timeline.began_at
    timeline.ui = _page(stage, connection_id)
    if not await timeline.run(UP, partial(steps.stack_up, stage)):
        return
    watching = asyncio.create_task(_watch(stage, timeline, connection_id))
    await asyncio.gather(
        _one_after_the_other(timeline, _main_life(stage, connection_id)),
        timeline.run(IMPORT, partial(steps.bring, stage)),
        timeline.run(GRACE, partial(crashes.survive_with_grace, stage)),
        timeline.run(LOSS, partial(crashes.name_the_loss, stage)),
        timeline.run(CLI, partial(plain_cli.live_by_cli, stage)),
        timeline.run(PAGES, partial(over_http.live_over_http, stage)),
        timeline.run(KEY, partial(ordinary.connect_by_key, stage)),
        timeline.run(READ, partial(ordinary.read_all, stage)),
        timeline.run(CUT, partial(ordinary.go_on_after_kill, stage)),
        timeline.run(OUTAGE, partial(ordinary.outlast_outage, stage)),
        timeline.run(TAKEN, partial(ordinary.find_taken_away, stage)),
    )
    watching.cancel()
    timeline.statuses = await statuses(stage, connection_id)
    await timeline.run(HUNT, partial(steps.hunt_canaries, stage))


def _main_life(stage: Stage, connection_id: UUID) -> dict[str, Work]:
    return {
        LOGIN: partial(steps.connect, stage, connection_id),
        FRESH: partial(steps.keep_fresh, stage, connection_id),
        REVOKE: partial(steps.revoke, stage, connection_id),
        AGAIN: partial(steps.reauthorize, stage, connection_id),
        END: partial(steps.disconnect, stage, connection_id),
    }


async def _one_after_the_other(timeline: Timeline, works: dict[str, Work]) -> None:
    for name, work in works.items():
        if not await timeline.run(name, work):
            return


async def _watch(stage: Stage, timeline: Timeline, connection_id: UUID) -> None:
    while True:
        timeline.statuses = await statuses(stage, connection_id)
        await asyncio.sleep(0.2)


async def _hold(timeline: Timeline, console: Console) -> None:
    console.print(f"Everything is kept running, until Ctrl-C: {timeline.ui}", soft_wrap=True)
    await asyncio.Event().wait()


def _page(stage: Stage, connection_id: UUID) -> str:
    stack = stage.development.stack
    namespace = stack.facts.temporal.namespace
    return f"{stack.ui_url}/namespaces/{namespace}/workflows/{workflow_id(connection_id)}"
