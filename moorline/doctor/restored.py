"""Connections that a restored backup brought back: their end is not in it, but in their workflow.

Their row would hand out tokens that the user has taken back. They are ended once more, as they
were: a workflow that is started again from such a row would else live on with them.
"""

from collections.abc import AsyncIterator, Sequence

from client.messaging import Messaging
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.doctor.findings import Finding, bad, ok
from moorline.doctor.lives import named, started_again
from moorline.doctor.running import Found
from storage import connections, views
from storage.database import Database


async def brought_back(
    found: Sequence[Found], database: Database, messaging: Messaging, *, fix: bool
) -> AsyncIterator[Finding]:
    """Find whose workflow has come to its end without its row knowing; ``fix``: end them again."""
    back = [each.view for each in found if each.over and await _lives(database, each.view)]
    if not back:
        return
    if not fix:
        said = (
            f"{len(back)} were disconnected, and the database does not know it, as one that was "
            f"restored from a backup: {named(back)}"
        )
        yield bad("endings", said, "run `moorline doctor --fix`: it ends them again")
        return
    for view in back:
        await connections.disconnect(database, view.connection_id)
        await started_again(messaging, view)
    yield ok("endings", f"{len(back)} that a backup had brought back are being ended again")


async def _lives(database: Database, listed: ConnectionView) -> bool:
    """As the row says now: it may have come to its end while we were looking."""
    async with database.transaction() as session:
        view = await views.get(session, listed.connection_id)
    return view.status is not ConnectionStatus.DISCONNECTED
