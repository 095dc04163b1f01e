"""``watch``: what happens to a connection, as it happens, until it is over. Only reads."""

import asyncio
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from domain import explanation
from domain.errors import NotFound, Unreachable
from domain.explanation import Explanation
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.opening import stored
from moorline.cli.output import Output
from moorline.cli.pictures import event_line
from storage import events, views
from storage.database import Database, now
from storage.tables import ConnectionRow, EventRow

POLL_S = 1


async def watch(connection_id: UUID, *, json: bool) -> None:
    """Tell every change until DISCONNECTED; an outage of the database is told and outlasted.

    Raises:
        NotFound: no such connection.
    """
    out = Output(json=json)
    async with stored() as database:
        async with database.transaction() as session:
            seen = await _latest(session, connection_id)
        view, explained, _ = await _read(database, connection_id, seen)
        shown = _show(out, view, explained)
        away = False
        while view.status is not ConnectionStatus.DISCONNECTED:
            await asyncio.sleep(POLL_S)
            try:
                view, explained, rows = await _read(database, connection_id, seen)
            except Unreachable as error:
                if not away:
                    out.say(f"{error}; watching on")
                away = True
                continue
            away = False
            for row in rows:
                out.say(event_line(row))
                seen = row.seq or seen
            if _essence(view, explained) != shown:
                shown = _show(out, view, explained)


async def _latest(session: AsyncSession, connection_id: UUID) -> int:
    """The number of the event that happened last."""
    row = await session.get(ConnectionRow, connection_id)
    if row is None:
        raise NotFound(f"no connection {connection_id}")
    return row.event_seq


async def _read(
    database: Database, connection_id: UUID, seen: int
) -> tuple[ConnectionView, Explanation, list[EventRow]]:
    """How it is, and only what has happened since: a log may be years long."""
    async with database.transaction() as session:
        view = await views.get(session, connection_id)
        explained = explanation.explain(view, await now(session))
        return view, explained, await events.after(session, connection_id, seen)


def _show(out: Output, view: ConnectionView, explained: Explanation) -> str:
    if out.json:
        out.emit(view)
    else:
        out.say(explained.text)
    return _essence(view, explained)


def _essence(view: ConnectionView, explained: Explanation) -> str:
    """What is worth telling again when it changes."""
    return f"{view.updated_at} {explained.text}"
