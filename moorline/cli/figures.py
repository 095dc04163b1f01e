"""What was read: ``accounts``, ``holdings``, ``transactions``, ``balances``.

Only the database is asked: it shows the copy, and never asks a provider.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from moorline.cli.arguments import AsJson, ConnectionId

if TYPE_CHECKING:
    from storage.finance_tables import AccountRow

NUMBERS = frozenset({"BALANCE", "AVAILABLE", "AMOUNT", "QUANTITY", "PRICE", "VALUE"})

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")]


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


async def _accounts(connection_id: UUID, json: bool) -> None:
    from moorline.cli.amounts import money
    from storage import finances

    rows = await _read(connection_id, finances.accounts)
    lines = [
        (row.source_id, row.name, row.type, row.number or "-", money(row.balance, row.currency))
        for row in rows
    ]
    headings = ("ACCOUNT", "NAME", "TYPE", "NUMBER", "BALANCE")
    left_out = {"id", "connection_id"}
    _tell(json, [row.model_dump(mode="json", exclude=left_out) for row in rows], headings, lines)


async def _holdings(connection_id: UUID, json: bool) -> None:
    from moorline.cli.amounts import money, number
    from storage import finances

    pairs = await _read(connection_id, finances.holdings)
    lines = [
        (
            account.name,
            row.symbol or "-",
            row.name,
            number(row.quantity),
            number(row.price),
            money(row.value, row.currency),
        )
        for account, row in pairs
    ]
    headings = ("ACCOUNT", "SYMBOL", "NAME", "QUANTITY", "PRICE", "VALUE")
    _tell(json, _plainly(pairs), headings, lines)


async def _transactions(connection_id: UUID, account: str | None, limit: int, json: bool) -> None:
    from domain.words import instant
    from moorline.cli.amounts import money
    from storage import finances

    if account is not None:
        await _check_account(connection_id, account)
    pairs = await _read(connection_id, finances.transactions, account=account, limit=limit)
    lines = [
        (instant(row.booked_at), of.name, money(row.amount, row.currency), row.description)
        for of, row in pairs
    ]
    _tell(json, _plainly(pairs), ("BOOKED", "ACCOUNT", "AMOUNT", "DESCRIPTION"), lines)


async def _balances(connection_id: UUID, limit: int, json: bool) -> None:
    from domain.words import instant
    from moorline.cli.amounts import money
    from storage import finances

    pairs = await _read(connection_id, finances.balances, limit=limit)
    lines = [
        (
            instant(row.at),
            account.name,
            money(row.balance, row.currency),
            money(row.available, row.currency),
        )
        for account, row in pairs
    ]
    _tell(json, _plainly(pairs), ("READ", "ACCOUNT", "BALANCE", "AVAILABLE"), lines)


async def _check_account(connection_id: UUID, account: str) -> None:
    from domain.errors import NotFound
    from storage import finances

    known = {row.source_id for row in await _read(connection_id, finances.accounts)}
    if known and account not in known:
        raise NotFound(
            f"connection {connection_id} has no account {account[:50]!r}: "
            f"`moorline accounts {connection_id}` lists them"
        )


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
        out.table(table(headings, lines, right=NUMBERS))
    else:
        out.say("Nothing has been read.")
