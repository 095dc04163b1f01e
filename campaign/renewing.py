"""Driving a refresh to its point: as usual, and with the database away when the answer comes."""

from campaign.driving import Drive
from campaign.points import Fate
from campaign.scene import Scene
from domain.status import ConnectionStatus, StatusReason
from tests.cli.terminal import Running
from tests.world import World, until
from workflows.names import workflow_id

HELD_S = 120


class Refreshing(Drive):
    """A user's program wants a new token."""

    async def prepare(self, scene: Scene) -> None:
        """A connection that is ACTIVE and fresh."""
        scene.connection_id = (await scene.world.imported()).connection_id

    async def ask(self, scene: Scene) -> None:
        """Refresh; whoever asks may give up waiting."""
        scene.arm()
        scene.hears(scene.world.connections.refresh(scene.subject))

    async def fate(self, scene: Scene) -> str | None:
        """By the provider's log, and the row."""
        view = await scene.world.connections.view(scene.subject)
        if view.status is ConnectionStatus.ACTIVE and view.generation == 1:
            return None
        posts = await scene.world.refreshes()
        presented = [post.presented for post in posts]
        if view.status is ConnectionStatus.ACTIVE and view.generation == 2:
            if presented == ["current"]:
                return Fate.KEPT if posts[0].started_at < scene.died_at else Fate.SENT_ONCE
            if presented == ["current", "previous_in_grace"]:
                return Fate.FOUND
        elif view.reason is StatusReason.LOST_ROTATION and presented == ["current", "rotated_out"]:
            return Fate.LOST
        return f"{view.status} ({view.reason}), generation {view.generation}, {presented}"


class RefreshingInAnOutage(Refreshing):
    """The database is away from before the answer until the process is dead."""

    async def fall(self, scene: Scene, doomed: Running) -> None:
        """The answer comes when nothing can be stored."""
        held = await answer_held(scene)
        async with scene.world.without_database():
            scene.arm()
            await scene.world.sandbox.clear(held)
            await scene.dies(doomed)


class Storing(Refreshing):
    """The database was away for so long that Temporal has the sealed tokens; it comes back."""

    async def ask(self, scene: Scene) -> None:
        """What Temporal keeps is to be written: nothing else comes to these places."""
        held = await answer_held(scene)
        async with scene.world.without_database():
            scene.arm()
            await scene.world.sandbox.clear(held)
            await until(lambda: _is_handed_over(scene))


async def answer_held(scene: Scene) -> str:
    """The provider has rotated, and its answer does not come yet; the fault that holds it."""
    world: World = scene.world
    held = await world.plant(
        "token", "delay", seconds=HELD_S, when="after_acting", grant_type="refresh_token"
    )
    scene.hears(world.connections.refresh(scene.subject))
    grant = await world.grant()
    await world.sandbox.logged(lambda call: call.rotated and not call.answered, grant_id=grant.id)
    return held


async def _is_handed_over(scene: Scene) -> bool:
    handle = scene.world.temporal.get_workflow_handle(workflow_id(scene.subject))
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.activity_type.name == "store_credentials" for each in pending)
