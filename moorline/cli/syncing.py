"""``sync``, and what was read: ``accounts``, ``holdings``, ``transactions``, ``balances``.

Reading needs only the database: it shows the copy, and never asks a provider.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from moorline.cli.arguments import AsJson, ConnectionId

if TYPE_CHECKING:
    from rich.table import Table

    from client.connections import ConnectionsClient
    from domain.view import Syncing
    from storage.finance_tables import AccountRow

WITHIN_S = 600
POLL_S = 0.1

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")]


def sync(
    connection_id: ConnectionId,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask for it, and leave.")] = False,
    json: AsJson = False,
) -> None:
    """Read a connection's accounts, holdings and transactions now, and wait until that is done."""
    done = asyncio.run(_sync(connection_id, wait=not no_wait, json=json))
    raise typer.Exit(0 if done else 1)


def accounts(connection_id: ConnectionId, json: AsJson = False) -> None:
    """List the accounts as they were read last."""
    asyncio.run(_accounts(connection_id, json))


def holdings(connection_id: ConnectionId, json: AsJson = False) -> None:
    """List the positions as they were read last."""
    asyncio.run(_holdings(connection_id, json))


def transactions(
    connection_id: ConnectionId,
    account: Annotated[
        str | None,
        typer.Option(help="Of this account only: the provider's id of it.", show_default=False),
    ] = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """List the newest transactions that were read."""
    asyncio.run(_transactions(connection_id, account, limit, json))


def balances(connection_id: ConnectionId, limit: Limit = 100, json: AsJson = False) -> None:
    """List what the accounts held each time they were read."""
    asyncio.run(_balances(connection_id, limit, json))


async def _sync(connection_id: UUID, *, wait: bool, json: bool) -> bool:
    from moorline.cli.opening import everything, naming_the_way_back
    from moorline.cli.output import Output

    out = Output(json=json)
    async with everything() as parts, naming_the_way_back(connection_id):
        client = parts.connections
        before = (await client.view(connection_id)).sync
        await client.sync_now(connection_id)
        if not wait:
            out.say("Reading has been asked for.")
            return True
        with out.waiting("reading"):
            after = await _another(client, connection_id, before)
        if json:
            out.emit(await client.view(connection_id))
        else:
            out.say((await client.explain(connection_id)).text)
        return after.failing_since is None


async def _another(
    client: "ConnectionsClient", connection_id: UUID, before: "Syncing | None"
) -> "Syncing":
    """How reading goes, once it has been done or has failed once more."""
    seen = (before.completed, before.failures) if before else (0, 0)
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                sync = (await client.view(connection_id)).sync
                if sync is not None and (sync.completed, sync.failures) != seen:
                    return sync
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TimeoutError(
            "it is still being read, or no worker has taken it up yet: "
            f"`moorline explain {connection_id}` says how it goes"
        ) from None


async def _accounts(connection_id: UUID, json: bool) -> None:
    from storage import finances

    rows = await _read(connection_id, finances.accounts)
    lines = [
        (row.source_id, row.name, row.type, row.number or "-", f"{row.balance} {row.currency}")
        for row in rows
    ]
    headings = ("ACCOUNT", "NAME", "TYPE", "NUMBER", "BALANCE")
    left_out = {"id", "connection_id"}
    _tell(json, [row.model_dump(mode="json", exclude=left_out) for row in rows], headings, lines)


async def _holdings(connection_id: UUID, json: bool) -> None:
    from storage import finances

    pairs = await _read(connection_id, finances.holdings)
    lines = [
        (
            account.name,
            row.symbol or "-",
            row.name,
            f"{row.quantity}",
            "-" if row.price is None else f"{row.price}",
            f"{row.value} {row.currency}",
        )
        for account, row in pairs
    ]
    headings = ("ACCOUNT", "SYMBOL", "NAME", "QUANTITY", "PRICE", "VALUE")
    _tell(json, _plainly(pairs), headings, lines)


async def _transactions(connection_id: UUID, account: str | None, limit: int, json: bool) -> None:
    from domain.explanation import instant
    from storage import finances

    pairs = await _read(connection_id, finances.transactions, account=account, limit=limit)
    lines = [
        (instant(row.booked_at), of.name, f"{row.amount} {row.currency}", row.description)
        for of, row in pairs
    ]
    _tell(json, _plainly(pairs), ("BOOKED", "ACCOUNT", "AMOUNT", "DESCRIPTION"), lines)


async def _balances(connection_id: UUID, limit: int, json: bool) -> None:
    from domain.explanation import instant
    from storage import finances

    pairs = await _read(connection_id, finances.balances, limit=limit)
    lines = [
        (
            instant(row.at),
            account.name,
            f"{row.balance} {row.currency}",
            "-" if row.available is None else f"{row.available} {row.currency}",
        )
        for account, row in pairs
    ]
    _tell(json, _plainly(pairs), ("READ", "ACCOUNT", "BALANCE", "AVAILABLE"), lines)


async def _read(connection_id: UUID, find: Callable[..., Any], **how: Any) -> Any:
    """What `find` finds of a connection that there is.

    Raises:
        NotFound: there is none.
    """
    from moorline.cli.opening import stored
    from storage import views

    async with stored() as database, database.transaction() as session:
        await views.get(session, connection_id)
        return await find(session, connection_id, **how)


def _plainly(pairs: "Sequence[tuple[AccountRow, Any]]") -> list[dict[str, Any]]:
    return [
        {"account": account.source_id, **row.model_dump(mode="json", exclude={"account_id"})}
        for account, row in pairs
    ]


def _tell(
    json: bool, plainly: list[Any], headings: Sequence[str], lines: Sequence[Sequence[str]]
) -> None:
    from moorline.cli.output import Output
    from moorline.cli.pictures import table

    out = Output(json=json)
    if json:
        out.emit(plainly)
    elif lines:
        made: Table = table(headings, lines)
        out.table(made)
    else:
        out.say("Nothing has been read.")
