"""``keys``: which keys are in use, and moving all that is sealed under the first one."""

import asyncio
from typing import TYPE_CHECKING

import typer

from moorline.cli.arguments import AsJson
from moorline.cli.help import Command, Group

if TYPE_CHECKING:
    from storage.database import Database
    from storage.keyring import Keyring

keys = typer.Typer(
    cls=Group,
    name="keys",
    help="What each key of MOORLINE_KEYS and MOORLINE_PAYLOAD_KEYS is needed for, and rotating.",
    no_args_is_help=True,
)


@keys.command(cls=Command)
def status(json: AsJson = False) -> None:
    """Say of each key what is sealed under it, and which may be taken out."""
    asyncio.run(_status(json))


@keys.command(cls=Command)
def rewrap(json: AsJson = False) -> None:
    """Bring every connection under the first key. May be stopped and repeated at any time."""
    left = asyncio.run(_rewrap(json))
    raise typer.Exit(1 if left else 0)


async def _status(json: bool) -> None:
    from moorline.cli.opening import settings_for_command, stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import table
    from moorline.cli.retiring import Keys, SealingKey, payload_keys
    from moorline.settings import Settings
    from storage import data_keys

    settings = settings_for_command(Settings)
    keyring = settings.keyring()
    async with stored() as database, database.transaction() as session:
        counts = await data_keys.count_by_key(session)
    names = [*keyring.keys, *sorted(counts.keys() - keyring.keys.keys())]
    held = [(name, counts.get(name, 0)) for name in names]
    rows = [SealingKey(key=n, connections=c, part=_part(keyring, n, c)) for n, c in held]
    found = await payload_keys(settings)
    out = Output(json=json)
    if json:
        out.emit(Keys(keys=rows, **dict(found)))
        return
    counted = [(row.key, str(row.connections), row.part) for row in rows]
    out.table(table(("KEY", "CONNECTIONS", ""), counted, right=("CONNECTIONS",)))
    out.say("")
    out.table(table(("PAYLOAD KEY", ""), [(row.key, row.part) for row in found.payload_keys]))
    out.say(found.needed)


def _part(keyring: "Keyring", name: str, count: int) -> str:
    if name == keyring.primary_id:
        return "seals"
    if name not in keyring.keys:
        return "missing: these connections cannot be opened"
    if count:
        return "opens only: `moorline keys rewrap` makes it free"
    return "seals nothing: put it first if it is new; take it out of MOORLINE_KEYS if it is not"


async def _rewrap(json: bool) -> int:
    """How many could not be rewrapped."""
    from moorline.cli.opening import settings_for_command, stored
    from moorline.cli.output import Output
    from moorline.settings import Settings
    from storage import data_keys
    from storage.vault import Vault

    out = Output(json=json)
    vault = Vault(settings_for_command(Settings).keyring())
    done = 0
    async with stored() as database:
        total = await _not_under(database, vault.primary_id)
        with out.waiting(f"rewrapping {total}") as progress:
            while batch := await data_keys.rewrap_batch(database, vault):
                done += batch
                progress(f"rewrapping: {done} of {total}")
        left = await _not_under(database, vault.primary_id)
    if json:
        out.emit({"key": vault.primary_id, "rewrapped": done, "left": left})
    else:
        out.say(f"{done} of {total} brought under {vault.primary_id!r}.")
        if left:
            out.say(f"{left} are left: in use just now, or their key is missing. Run it again.")
    return left


async def _not_under(database: "Database", primary: str) -> int:
    """How many connections are sealed under another key than this one."""
    from storage import data_keys

    async with database.transaction() as session:
        counts = await data_keys.count_by_key(session)
    return sum(count for name, count in counts.items() if name != primary)
