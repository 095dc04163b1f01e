"""What is shown in tables: as it is, a row for each thing, and no word of it cut in two."""

import asyncio
from datetime import UTC, datetime
from io import StringIO
from itertools import product
from uuid import uuid4

import pytest
from rich.console import Console

from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView
from moorline.cli.pictures import stacked, table
from tests.cli.terminal import Terminal
from tests.world import World

ODD = ["[/foo]", "[red]x[/red]", "[link=https://evil.example]y[/link]", "a\nb", "\x1b[31mred", "[b"]


@pytest.mark.parametrize("alias", ODD)
async def test_a_list_broke_on_an_alias_with_markup_or_a_newline(
    world: World, busy: Terminal, alias: str
) -> None:
    """Bug: Rich read aliases as markup: `[/foo]` ended the command with a MarkupError."""
    view = await world.connected()
    renamed = await world.connections.rename(view.connection_id, alias)
    shown = alias.replace("\n", "\ufffd").replace("\x1b", "\ufffd")
    commands = [("list",), ("show", view.connection_id)]
    done = await asyncio.gather(
        *(busy.run(*words) for words in commands), busy.run("list", COLUMNS="80")
    )
    assert renamed.alias == alias
    for each in done:
        assert each.code == 0, each.err
        assert shown in each.out
    assert done[0].out.count("\n") == 2  # headings, and one row


def test_cells_of_any_table_are_literal_and_on_one_line() -> None:
    """Bug: so it was with whatever else a provider had named: accounts, transactions, holdings."""
    shown = drawn(table(("A",), [(odd,) for odd in ODD]), 240)
    assert shown.count("\n") == len(ODD) + 1
    assert all(odd in shown for odd in ("[/foo]", "[red]x[/red]", "[link=https://evil.example]y"))
    assert "\x1b" not in shown


async def test_a_list_at_80_columns_split_words(world: World, busy: Terminal) -> None:
    """Bug: `PENDIN` and `G` stood below one another."""
    view = await world.connected()
    await world.connections.rename(view.connection_id, "an alias of several words")
    shown = (await busy.run("list", COLUMNS="80")).out
    assert f"{view.connection_id}  ACTIVE  authorized\n" in shown
    assert "  an alias of several words, " in shown


def test_status_and_reason_stand_whole_in_80_columns() -> None:
    for status, reason in product(ConnectionStatus, StatusReason):
        (first, _) = stacked([seen(status, reason)]).plain.split("\n")
        assert first.endswith(f"  {status.value.upper()}  {reason.value}")
        assert len(first) <= 80


def seen(status: ConnectionStatus, reason: StatusReason) -> ConnectionView:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return ConnectionView(
        connection_id=uuid4(),
        user_id=uuid4(),
        provider_slug="sandbox",
        alias=None,
        status=status,
        reason=reason,
        since=at,
        ending=False,
        generation=0,
        expires_at=None,
        refresh_at=None,
        reauthorize_by=None,
        trouble=None,
        attempt=None,
        receipt=None,
        connected_at=None,
        created_at=at,
        updated_at=at,
    )


def drawn(what: object, width: int) -> str:
    """What a terminal of this width shows."""
    file = StringIO()
    Console(file=file, width=width, highlight=False, emoji=False).print(what)
    return file.getvalue()
