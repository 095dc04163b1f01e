"""``list``, ``show``, ``explain``, ``watch``, ``events``: only the database is asked."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from domain.status import ConnectionStatus
from moorline.cli.arguments import AsJson, ConnectionId, slugs_like

MOST = 1000


def list_(
    user: Annotated[
        UUID | None, typer.Option(help="Of this user only.", show_default=False)
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            help="With this provider only.", autocompletion=slugs_like, show_default=False
        ),
    ] = None,
    status: Annotated[
        ConnectionStatus | None, typer.Option(help="In this status only.", show_default=False)
    ] = None,
    json: AsJson = False,
) -> None:
    """List connections, the newest first (at most 1000)."""
    asyncio.run(_list(user, provider, status, json))


def show(connection_id: ConnectionId, json: AsJson = False) -> None:
    """Show all there is to know of a connection; never a secret."""
    asyncio.run(_show(connection_id, json))


def explain(connection_id: ConnectionId, json: AsJson = False) -> None:
    """Say in plain words how a connection is, why, what comes next, and who must act."""
    asyncio.run(_explain(connection_id, json))


def watch(connection_id: ConnectionId, json: AsJson = False) -> None:
    """Tell what happens to a connection as it happens, until it is over or you press Ctrl-C."""
    from moorline.cli.watching import watch

    asyncio.run(watch(connection_id, json=json))


def events(connection_id: ConnectionId, json: AsJson = False) -> None:
    """List all that happened to a connection, and whether the record is whole."""
    whole = asyncio.run(_events(connection_id, json))
    raise typer.Exit(0 if whole else 1)


async def _list(
    user: UUID | None, provider: str | None, status: ConnectionStatus | None, json: bool
) -> None:
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import stacked, table_of
    from storage import views

    out = Output(json=json)
    async with stored() as database, database.transaction() as session:
        found = await views.find(
            session, user_id=user, provider_slug=provider, status=status, limit=MOST
        )
    if json:
        out.emit_views(list(found))
    elif found:
        out.table(table_of(found), narrow=stacked(found))
    else:
        out.say("No connections." if not (user or provider or status) else "No such connections.")


async def _show(connection_id: UUID, json: bool) -> None:
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import card_of
    from storage import views

    out = Output(json=json)
    async with stored() as database, database.transaction() as session:
        view = await views.get(session, connection_id)
    if json:
        out.emit(view)
    else:
        out.say(card_of(view))


async def _explain(connection_id: UUID, json: bool) -> None:
    from domain import explanation
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from storage import views
    from storage.database import now

    out = Output(json=json)
    async with stored() as database, database.transaction() as session:
        view = await views.get(session, connection_id)
        explained = explanation.explain(view, await now(session))
    if json:
        out.emit({**explained.model_dump(mode="json"), "text": explained.text})
    else:
        out.say(explained.text)


async def _events(connection_id: UUID, json: bool) -> bool:
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import event_line
    from storage import events, views

    out = Output(json=json)
    async with stored() as database, database.transaction() as session:
        await views.get(session, connection_id)
        rows = await events.read(session, connection_id)
        whole = events.is_intact(rows, await events.head(session, connection_id))
    if json:
        fields = {"event_id", "seq", "type", "occurred_at", "data"}
        out.emit(
            {
                "whole": whole,
                "events": [row.model_dump(mode="json", include=fields) for row in rows],
            }
        )
        return whole
    for row in rows:
        out.say(event_line(row))
    out.say(
        f"{len(rows)} events, the record is whole."
        if whole
        else "Events are missing or were changed: the chain does not fit."
    )
    return whole
