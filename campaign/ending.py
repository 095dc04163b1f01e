"""Driving the end of a grant to its point: revoking, disconnecting, and in mid-refresh."""

from sqlalchemy import func
from sqlmodel import select

from campaign.driving import Drive
from campaign.points import Fate
from campaign.renewing import answer_held
from campaign.scene import Scene
from domain.outcomes import Revocation
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.tables import DataKeyRow


class Revoking(Drive):
    """The user takes access back, and the connection stays."""

    async def prepare(self, scene: Scene) -> None:
        """A connection that is ACTIVE and fresh."""
        scene.connection_id = (await scene.world.imported()).connection_id

    async def ask(self, scene: Scene) -> None:
        """Revoke."""
        scene.arm()
        scene.hears(scene.world.connections.revoke(scene.subject))

    async def fate(self, scene: Scene) -> str | None:
        """By the provider's word on the grant, and the receipt."""
        view = await scene.world.connections.view(scene.subject)
        if view.receipt is None or view.status is not ConnectionStatus.REVOKED:
            return None
        return await _ended(scene, view, Fate.REVOKED)


class Disconnecting(Revoking):
    """The user ends it for good."""

    async def ask(self, scene: Scene) -> None:
        """Disconnect."""
        scene.arm()
        await scene.world.connections.disconnect(scene.subject)

    async def fate(self, scene: Scene) -> str | None:
        """By the provider's word on the grant, and the receipt."""
        view = await scene.world.connections.view(scene.subject)
        if view.status is not ConnectionStatus.DISCONNECTED:
            return None
        return await _ended(scene, view, Fate.ENDED)


class DisconnectingInARefresh(Disconnecting):
    """The same while a new token is on its way to us."""

    async def ask(self, scene: Scene) -> None:
        """The user says so while the provider, which has rotated, has not answered."""
        held = await answer_held(scene)
        await scene.world.connections.disconnect(scene.subject)
        scene.arm()
        await scene.world.sandbox.clear(held)


async def _ended(scene: Scene, view: ConnectionView, well: Fate) -> str:
    assert view.receipt is not None
    told = {token.token: token.result for token in view.receipt.tokens}
    ours = {name: result for name, result in told.items() if name != "lost answer"}
    grant = await scene.world.grant()
    all_revoked = bool(ours) and set(ours.values()) == {Revocation.REVOKED}
    if all_revoked and view.receipt.shredded and await _keys(scene) == 0:
        if told != ours:
            return Fate.UNCERTAIN
        if grant.revoked_by == "client":
            return well
    return f"{view.status}, {told}, grant revoked by {grant.revoked_by}"


async def _keys(scene: Scene) -> int:
    async with scene.world.database.transaction() as session:
        return (await session.exec(select(func.count()).select_from(DataKeyRow))).one()
