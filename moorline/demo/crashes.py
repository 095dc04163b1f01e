"""The worst place to be killed: after the provider has rotated, before we have stored.

The sandbox holds its answer back after acting; its log shows that it has rotated; then the worker
gets SIGKILL. What the provider does with the token it has retired decides how it ends.
"""

import asyncio
import time

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.demo.judging import accepts, check, refreshes, until
from moorline.demo.stage import Stage, queue_of


async def survive_with_grace(stage: Stage) -> str:
    """With a grace window nobody has to do anything."""
    view, seconds = await _killed_between_rotation_and_commit(stage, "demo-grace")
    check(view.status is ConnectionStatus.ACTIVE, f"it is {view.status} ({view.reason})")
    again = (await refreshes(stage, "demo-grace"))[-1]
    check(again.presented == "previous_in_grace", f"the provider saw {again.presented}")
    lease = await stage.on_queue("demo-grace").lease(view.connection_id)
    check(await accepts(stage, lease.access_token.reveal()), "the token does not work")
    return (
        "provider's log: rotated, unanswered; worker killed; "
        f"recovered by itself in {seconds:.0f} s, ACTIVE"
    )


async def name_the_loss(stage: Stage) -> str:
    """Without one it cannot be recovered, and is called what it is."""
    view, seconds = await _killed_between_rotation_and_commit(stage, "demo-strict")
    check(view.status is ConnectionStatus.EXPIRED, f"it is {view.status}")
    check(view.reason == "lost_rotation", f"the reason is {view.reason}")
    explained = await stage.on_queue("demo-strict").explain(view.connection_id)
    check(explained.who_must_act == "user", "it does not say that the user must act")
    check("lost_rotation" in explained.text, "it does not say why")
    return (
        "provider's log: rotated, unanswered; worker killed; "
        f"EXPIRED (lost_rotation) after {seconds:.0f} s, and says so"
    )


async def _killed_between_rotation_and_commit(
    stage: Stage, slug: str
) -> tuple[ConnectionView, float]:
    """The connection once it has settled, and how many seconds that took."""
    worker = await stage.development.start_worker(
        f"worker-{slug}", MOORLINE_TASK_QUEUE=queue_of(slug)
    )
    before, grant_id = await stage.bring(slug)
    client = stage.on_queue(slug)
    held = await stage.sandbox.plant(
        "token", "delay", seconds=120, when="after_acting", client_id=slug
    )
    refreshing = asyncio.ensure_future(client.refresh(before.connection_id))
    entry = await stage.sandbox.logged(
        lambda e: e.rotated and not e.answered, grant_id=grant_id, within_s=30
    )
    check(entry.finished_at is None, "the answer was not held back")
    worker.kill()
    killed_at = time.monotonic()
    await worker.wait()
    await stage.sandbox.clear(held)
    await stage.development.stack.restart(f"worker-{slug}")

    async def settled() -> ConnectionView | None:
        view = await client.view(before.connection_id)
        over = view.status is not ConnectionStatus.ACTIVE
        return view if over or view.generation > before.generation else None

    view = await until(settled, "the connection never settled")
    await asyncio.gather(refreshing, return_exceptions=True)  # whose caller may have given up
    return view, time.monotonic() - killed_at
