"""``keys``: which keys wrap what, and moving all of it under the first one."""

import asyncio
from typing import TYPE_CHECKING

import typer

from moorline.cli.arguments import AsJson

if TYPE_CHECKING:
    from storage.keyring import Keyring

keys = typer.Typer(
    name="keys",
    help="The keys of MOORLINE_KEYS: what each still wraps, and rotating them.",
    no_args_is_help=True,
)


@keys.command()
def status(json: AsJson = False) -> None:
    """Say of each key how many connections are sealed under it; one that has none may go."""
    asyncio.run(_status(json))


@keys.command()
def rewrap(json: AsJson = False) -> None:
    """Bring every connection under the first key. May be stopped and repeated at any time."""
    left = asyncio.run(_rewrap(json))
    raise typer.Exit(1 if left else 0)


async def _status(json: bool) -> None:
    from moorline.cli.opening import settings_for_command, stored
    from moorline.cli.output import Output
    from moorline.cli.pictures import table
    from moorline.settings import Settings
    from storage import data_keys

    keyring = settings_for_command(Settings).keyring()
    async with stored() as database, database.transaction() as session:
        counts = await data_keys.count_by_key(session)
    names = [*keyring.keys, *sorted(counts.keys() - keyring.keys.keys())]
    held = [(name, counts.get(name, 0)) for name in names]
    rows = [(name, count, _part(keyring, name, count)) for name, count in held]
    out = Output(json=json)
    if json:
        out.emit([{"key": name, "connections": count, "part": part} for name, count, part in rows])
    else:
        out.table(table(("KEY", "CONNECTIONS", ""), [(n, str(c), p) for n, c, p in rows]))


def _part(keyring: "Keyring", name: str, count: int) -> str:
    if name == keyring.primary_id:
        return "seals"
    if name not in keyring.keys:
        return "missing: these connections cannot be opened"
    if count:
        return "opens only: `moorline keys rewrap` makes it free"
    return "may be taken out of MOORLINE_KEYS"


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
        with out.waiting("rewrapping ..."):
            while batch := await data_keys.rewrap_batch(database, vault):
                done += batch
        async with database.transaction() as session:
            counts = await data_keys.count_by_key(session)
    left = sum(count for name, count in counts.items() if name != vault.primary_id)
    if json:
        out.emit({"key": vault.primary_id, "rewrapped": done, "left": left})
    else:
        out.say(f"{done} brought under {vault.primary_id!r}.")
        if left:
            out.say(f"{left} are left: in use just now, or their key is missing. Run it again.")
    return left
