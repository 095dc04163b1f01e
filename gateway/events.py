"""What happened to connections, as a feed to page through and as a stream of server-sent events.

Both tell the same events in the same order and take the same cursors, so a reader may change from
one to the other. None is skipped, however late its transaction commits; the price is that an event
waits for every writing transaction that began before its own.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID
from weakref import WeakSet

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput, Unreachable
from domain.roles import Role
from gateway.problems import Refused
from gateway.refusals import documented
from gateway.security import Caller, guard
from gateway.stopping import is_stopping
from storage import api_keys, events
from storage.database import Database
from storage.events import BEGINNING, Place
from storage.tables import EventRow

PAUSE_S: Final = 0.5
"""Between two looks into the database."""
KEEP_ALIVE_S: Final = 15
"""Shorter than any proxy waits for something to be said."""
AT_ONCE: Final = 500
MOST_STREAMS: Final = 100
"""Of one gateway: each asks the database twice a second."""
MEDIA_TYPE: Final = "text/event-stream"
_CURSOR: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,19})")


class Event(BaseModel):
    """Something that happened. ``id`` is its own for ever; ``data`` depends on the type.

    ``seq`` counts the events of one connection without gaps; null: the connection was refused.
    """

    id: UUID
    type: str
    occurred_at: datetime
    connection_id: UUID
    user_id: UUID
    seq: int | None
    data: dict[str, object]


class Events(BaseModel):
    """A page, in order. ``next_cursor`` goes on after it, also where there is nothing for now."""

    items: list[Event]
    next_cursor: str


@dataclass(frozen=True)
class _Wanted:
    """Which events; None: all."""

    user_id: UUID | None = None
    connection_id: UUID | None = None

    async def after(
        self, session: AsyncSession, place: Place, limit: int
    ) -> tuple[Sequence[EventRow], Place]:
        return await events.stream(
            session,
            place,
            user_id=self.user_id,
            connection_id=self.connection_id,
            limit=limit,
        )


class _Seat:
    """What a stream holds while it lasts: free again when nobody refers to it any more.

    For a stream whose reader has gone before it began never runs, and could not give it back.
    """


def event_routes(database: Database) -> APIRouter:
    """``/v1/events`` and ``/v1/events/stream``."""
    router = APIRouter(prefix="/v1/events", tags=["events"], responses=documented())
    applications = guard(database, Role.APP)
    streams: WeakSet[_Seat] = WeakSet()

    @router.get("", dependencies=[Depends(applications)])
    async def feed(
        wanted: Annotated[_Wanted, Depends()],
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Events:
        """Events after a cursor, in order; without one, from the very first."""
        place = BEGINNING if after is None else _place_of(after)
        async with database.transaction() as session:
            rows, place = await wanted.after(session, place, limit)
        return Events(items=[_event(row) for row in rows], next_cursor=_cursor_of(place))

    @router.get(
        "/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {MEDIA_TYPE: {}}, "description": "Server-sent events"}},
    )
    async def stream(
        request: Request,
        caller: Annotated[Caller, Depends(applications)],
        wanted: Annotated[_Wanted, Depends()],
        after: str | None = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Events as they happen, after `Last-Event-ID` or else `after`, or else from now on.

        The id of each is its cursor. A block without data comes first, and whenever nothing has
        happened for a while: its id is where to go on from.
        """
        seat = _taken(streams)
        place = await _begin(database, after if last_event_id is None else last_event_id)
        return StreamingResponse(
            _told(request, database, caller, wanted, place, seat),
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return router


async def _begin(database: Database, cursor: str | None) -> Place:
    if cursor is not None:
        return _place_of(cursor)
    async with database.transaction() as session:
        return await events.horizon(session)


def _taken(streams: WeakSet[_Seat]) -> _Seat:
    """A seat, taken before anything is waited for: of many who come at once, some get none.

    Raises:
        Refused: 503, there is none.
    """
    if len(streams) >= MOST_STREAMS:
        detail = f"this gateway serves {MOST_STREAMS} streams already"
        raise Refused(503, "too-many-streams", detail, headers={"Retry-After": "10"})
    seat = _Seat()
    streams.add(seat)
    return seat


async def _told(
    request: Request,
    database: Database,
    caller: Caller,
    wanted: _Wanted,
    place: Place,
    seat: _Seat,  # noqa: ARG001 -- taken for as long as this lasts
) -> AsyncIterator[bytes]:
    """All that happens, until the server stops, the key is revoked, or the reader goes away."""
    yield format_sse_event(id=_cursor_of(place))
    spoken = time.monotonic()
    while not is_stopping(request.scope):
        rows: Sequence[EventRow] = ()
        try:
            async with database.transaction() as session:
                if not await api_keys.is_good(session, caller.key_id):
                    return
                rows, place = await wanted.after(session, place, AT_ONCE)
        except Unreachable:
            pass  # The reader would not be better off for having to come again.
        for row in rows:
            yield _block(row)
        if rows:
            spoken = time.monotonic()
        elif time.monotonic() - spoken >= KEEP_ALIVE_S:
            yield format_sse_event(comment="nothing has happened", id=_cursor_of(place))
            spoken = time.monotonic()
        if len(rows) < AT_ONCE:
            await asyncio.sleep(PAUSE_S)


def _block(row: EventRow) -> bytes:
    return format_sse_event(
        id=_cursor_of(events.place_of(row)),
        event=row.type,
        data_str=_event(row).model_dump_json(),
    )


def _event(row: EventRow) -> Event:
    return Event(
        id=row.event_id,
        type=row.type,
        occurred_at=row.occurred_at,
        connection_id=row.connection_id,
        user_id=row.user_id,
        seq=row.seq,
        data=row.data,
    )


def _cursor_of(place: Place) -> str:
    return f"{place.xid}-{place.position}"


def _place_of(cursor: str) -> Place:
    """Where a cursor stands.

    Raises:
        InvalidInput: it is none of ours.
    """
    parts = _CURSOR.fullmatch(cursor)
    place = Place(int(parts[1]), int(parts[2])) if parts else None
    if place is None or place.xid >= 1 << 64 or place.position >= 1 << 63:
        raise InvalidInput("the cursor is none that an event or a page came with")
    return place
