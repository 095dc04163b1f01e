"""What must hold whatever was killed, wherever: asked when the fate is known.

The provider's own log is the ground truth; what we believe is compared with it.
"""

import asyncio
from itertools import pairwise

from campaign.scene import Scene
from domain.errors import NotFresh, Unreachable
from domain.outcomes import Revocation
from domain.status import ConnectionStatus, StatusReason
from domain.view import Receipt
from storage import events
from storage.events import is_intact
from tests.world import World, until


async def broken(scene: Scene, *, grace: bool) -> list[str]:
    """What does not hold, in words."""
    world = scene.world
    view = await world.connections.view(scene.subject)
    found = [*await _overlaps(world)]
    if view.reason is StatusReason.LOST_ROTATION and (grace or not await _lost(scene)):
        found.append("lost_rotation, and nothing was lost")
    if view.status is ConnectionStatus.ACTIVE and not await _can_refresh(scene):
        found.append("ACTIVE, and cannot refresh")
    await asyncio.wait_for(world.connections.disconnect(scene.subject), 30)
    receipt = await asyncio.wait_for(world.connections.receipt(scene.subject), 60)
    found += await _leftovers(world, receipt)
    if not await _intact(scene):
        found.append("the chain of events is broken")
    return found


async def _overlaps(world: World) -> list[str]:
    """Token requests of one grant that ran at the same time."""
    calls = sorted(await world.log(), key=lambda call: call.started_at)
    return [
        f"token requests {one.seq} and {other.seq} overlap"
        for one, other in pairwise(calls)
        if one.finished_at is None or other.started_at < one.finished_at
    ]


async def _lost(scene: Scene) -> bool:
    """Whether the provider had rotated for the process that died."""
    posts = await scene.world.refreshes()
    return any(post.rotated and post.started_at < scene.died_at for post in posts)


async def _can_refresh(scene: Scene) -> bool:
    connections = scene.world.connections
    before = (await connections.view(scene.subject)).generation

    async def refreshed() -> bool:
        try:
            view = await connections.refresh(scene.subject)
        except (NotFresh, Unreachable):
            return False
        return view.status is ConnectionStatus.ACTIVE and view.generation > before

    try:
        return await until(refreshed)
    except TimeoutError:
        return False


async def _leftovers(world: World, receipt: Receipt) -> list[str]:
    """After the end nothing lives at the provider, or the receipt says that something may."""
    found = [] if receipt.shredded else ["the secrets are not shredded"]
    live = [grant for grant in await world.grants() if grant.live]
    if live and all(token.result is not Revocation.UNCERTAIN for token in receipt.tokens):
        found.append(f"{len(live)} live grants after the end, and the receipt does not say so")
    return found


async def _intact(scene: Scene) -> bool:
    rows = await scene.world.connections.events(scene.subject)
    async with scene.world.database.transaction() as session:
        return is_intact(rows, await events.head(session, scene.subject))
