"""Driving the exchange of an authorization code to its point."""

from campaign.driving import Drive
from campaign.points import Fate
from campaign.scene import Scene
from client.authorizations import Received
from domain.errors import Conflict
from domain.status import ConnectionStatus


class Authorizing(Drive):
    """A user has come back from the provider with a code."""

    def __init__(self) -> None:
        self._received: Received | None = None

    async def prepare(self, scene: Scene) -> None:
        """Up to the redirect."""
        world = scene.world
        begun = await world.connections.connect(world.slug, world.user_id)
        scene.connection_id = begun.connection_id
        self._received = await world.connections.receive_redirect(await world.consent(begun))

    async def ask(self, scene: Scene) -> None:
        """Exchange it."""
        assert self._received is not None
        scene.arm()
        scene.hears(scene.world.connections.authorize(self._received))

    async def fate(self, scene: Scene) -> str | None:
        """By what the user is told, and how often the provider has seen a code."""
        (asked,) = scene.asked
        if not asked.done():
            return None
        posts = await scene.world.log()
        error = asked.exception()
        view = await scene.world.connections.view(scene.subject)
        if error is None and view.status is ConnectionStatus.ACTIVE and len(posts) == 1:
            return Fate.KEPT if posts[0].started_at < scene.died_at else Fate.SENT_ONCE
        interrupted = isinstance(error, Conflict) and "interrupted" in str(error)
        failed = interrupted and view.status is ConnectionStatus.PENDING and len(posts) <= 1
        if failed and await _works_anew(scene):
            return Fate.NOT_SENT_AGAIN if posts else Fate.NOT_SENT
        return f"{view.status} ({view.reason}), {error!r}, {len(posts)} POSTs"


async def _works_anew(scene: Scene) -> bool:
    """Whether the user, who tries again, is connected."""
    received = await scene.world.received_again(scene.subject)
    view = await scene.world.connections.authorize(received)
    return view.status is ConnectionStatus.ACTIVE
