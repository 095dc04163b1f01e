"""Making a connection's secrets unreadable for good, once nobody needs to revoke them any more."""

from temporalio import activity

from activities.holding import beating
from activities.payloads import Shown, ShredCredentials
from activities.resources import Resources, cause
from storage import connections, views
from storage.shredding import shred


class Shredding:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def shred_credentials(self, request: ShredCredentials) -> Shown:
        """Destroy the data key and everything it sealed; done before, it is done still."""
        async with self._resources.database.transaction() as session:
            row = await connections.locked(session, request.connection_id)
            at = await self._resources.clock.now(session)
            await shred(session, row, at=at, cause=cause())
            row.receipt = request.receipt.model_dump(mode="json")
            await session.flush()
            return Shown(view=await views.get(session, row.id))
