"""``watch``: what happens to a connection, as it happens, until it is over. Only reads."""

import asyncio
from uuid import UUID

from domain import explanation
from domain.errors import Unreachable
from domain.explanation import Explanation
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.opening import stored
from moorline.cli.output import Output
from moorline.cli.pictures import event_line
from storage import events, views
from storage.database import Database, now
from storage.tables import EventRow

POLL_S = 1


async def watch(connection_id: UUID, *, json: bool) -> None:
    """Tell every change until DISCONNECTED; an outage of the database is told and outlasted.

    Raises:
        NotFound: no such connection.
    """
    out = Output(json=json)
    async with stored() as database:
        view, explained, past = await _read(database, connection_id)
        seen, shown = len(past), _show(out, view, explained)
        away = False
        while view.status is not ConnectionStatus.DISCONNECTED:
            await asyncio.sleep(POLL_S)
            try:
                view, explained, rows = await _read(database, connection_id)
            except Unreachable as error:
                if not away:
                    out.say(f"{error}; watching on")
                away = True
                continue
            away = False
            for row in rows[seen:]:
                out.say(event_line(row))
            seen = len(rows)
            if _essence(view, explained) != shown:
                shown = _show(out, view, explained)


async def _read(
    database: Database, connection_id: UUID
) -> tuple[ConnectionView, Explanation, list[EventRow]]:
    async with database.transaction() as session:
        view = await views.get(session, connection_id)
        explained = explanation.explain(view, await now(session))
        return view, explained, await events.read(session, connection_id)


def _show(out: Output, view: ConnectionView, explained: Explanation) -> str:
    if out.json:
        out.emit(view)
    else:
        out.say(explained.text)
    return _essence(view, explained)


def _essence(view: ConnectionView, explained: Explanation) -> str:
    """What is worth telling again when it changes."""
    return f"{view.updated_at} {explained.text}"
