"""``apikeys``: who may call the gateway."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from domain.roles import Role
from moorline.cli.arguments import AsJson, checked_alias
from moorline.cli.help import Command, Group

if TYPE_CHECKING:
    from pydantic import JsonValue

    from storage.gateway_tables import ApiKeyRow

apikeys = typer.Typer(
    cls=Group,
    name="apikeys",
    help="The keys by which programs call the gateway: made, listed, revoked.",
    no_args_is_help=True,
)


@apikeys.command(cls=Command)
def create(
    role: Annotated[
        Role,
        typer.Option(
            help="What it may do. admin: everything; app: connections, their data, events and "
            "leases; lease: leases only; metrics: the metrics only.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str, typer.Option(help="What it is for, for people.", callback=checked_alias)
    ] = "",
    json: AsJson = False,
) -> None:
    """Make a key. It is shown this once: only its hash is stored."""
    asyncio.run(_create(role, name, json=json))


@apikeys.command(name="list", cls=Command)
def list_(json: AsJson = False) -> None:
    """List all keys: ids and roles, never the keys themselves."""
    asyncio.run(_list(json=json))


@apikeys.command(cls=Command)
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `apikeys list` shows it.")],
    json: AsJson = False,
) -> None:
    """Have a key open nothing any more, from now on."""
    asyncio.run(_revoke(key_id, json=json))


async def _create(role: Role, name: str, *, json: bool) -> None:
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from storage import api_keys
    from storage.database import now

    async with stored() as database, database.transaction() as session:
        row, key = api_keys.create(session, role, name, await now(session))
    out = Output(json=json)
    if json:
        out.emit({**_shown(row), "key": key.reveal()})
        return
    out.say(f"Key {row.id} of role {role}. It is not shown again:\n")
    out.say(f"  {key.reveal()}\n")
    out.say("Programs send it as `Authorization: Bearer KEY`.")


async def _list(*, json: bool) -> None:
    from domain.words import instant
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import table
    from storage import api_keys

    async with stored() as database, database.transaction() as session:
        rows = await api_keys.all_keys(session)
    out = Output(json=json)
    if json:
        out.emit([_shown(row) for row in rows])
        return

    def when(at: datetime | None) -> str:
        return instant(at) if at else ""

    cells = [
        (row.id, row.role, row.name, when(row.created_at), when(row.revoked_at)) for row in rows
    ]
    out.table(table(("KEY", "ROLE", "NAME", "CREATED", "REVOKED"), cells))


async def _revoke(key_id: str, *, json: bool) -> None:
    from moorline.cli.opening import stored
    from moorline.cli.output import Output
    from storage import api_keys
    from storage.database import now

    async with stored() as database, database.transaction() as session:
        row = await api_keys.revoke(session, key_id, await now(session))
    out = Output(json=json)
    if json:
        out.emit(_shown(row))
    else:
        out.say(f"Key {row.id} opens nothing any more.")


def _shown(row: "ApiKeyRow") -> "dict[str, JsonValue]":
    return {
        "id": row.id,
        "role": row.role,
        "name": row.name,
        "created_at": row.created_at.isoformat(),
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }
