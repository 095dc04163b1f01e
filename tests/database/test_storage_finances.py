"""What was read, as it is kept: once, exactly, and together with the cursor after it."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from domain.finances import Account, Holding, Money, Transaction, TransactionPage
from storage import finances, syncs
from storage.finance_tables import TransactionRow
from storage.finances import TransactionPlace
from storage.syncs import Attempt
from tests.stored import AT, HOUR, Stored


def account(id: str, balance: str = "10.01") -> Account:
    return Account(id, f"Account {id}", "cash", "••••1234", Money(Decimal(balance), "EUR"), None)


def holding(id: str, value: str = "99.5") -> Holding:
    worth = Money(Decimal(value), "USD")
    return Holding(id, None, f"Share {id}", Decimal("0.000000000001"), None, worth)


def transaction(number: int, amount: str = "-1.10", status: str = "pending") -> Transaction:
    booked = AT + number * HOUR
    return Transaction(f"t{number}", booked, Money(Decimal(amount), "EUR"), "rent", status)


def page(*found: Transaction, cursor: str = "after", has_more: bool = False) -> TransactionPage:
    return TransactionPage(found, cursor, has_more)


async def begun(stored: Stored, connection_id: UUID) -> Attempt:
    async with stored.database.transaction() as session:
        attempt = await syncs.begin(session, connection_id, AT)
    assert attempt is not None
    return attempt


async def write_accounts(stored: Stored, attempt: Attempt, *found: Account) -> dict[str, UUID]:
    async with stored.database.transaction() as session:
        return await finances.write_accounts(session, attempt, found, AT)


async def write_holdings(stored: Stored, account_id: UUID, *found: Holding) -> None:
    async with stored.database.transaction() as session:
        await finances.write_holdings(session, account_id, found, AT)


async def write_page(stored: Stored, account_id: UUID, read: TransactionPage) -> int:
    async with stored.database.transaction() as session:
        return await finances.write_transactions(session, account_id, read, AT)


async def cursor(stored: Stored, account_id: UUID) -> str | None:
    async with stored.database.transaction() as session:
        return await finances.cursor_of(session, account_id)


async def kept_accounts(stored: Stored, connection_id: UUID) -> dict[str, bool]:
    """Each account, and whether it is gone."""
    async with stored.database.transaction() as session:
        rows = await finances.accounts(session, connection_id)
    return {row.source_id: row.gone_at is not None for row in rows}


async def kept_holdings(stored: Stored, connection_id: UUID) -> dict[str, Decimal]:
    async with stored.database.transaction() as session:
        rows = await finances.holdings(session, connection_id)
    return {row.source_id: row.value for _, row in rows}


async def kept_transactions(
    stored: Stored, connection_id: UUID, **choice: str | int
) -> list[tuple[str, Decimal, str]]:
    async with stored.database.transaction() as session:
        rows = await finances.transactions(session, connection_id, **choice)  # type: ignore[arg-type]
    return [(row.source_id, row.amount, row.status) for _, row in rows]


async def kept_balances(stored: Stored, connection_id: UUID) -> list[tuple[str, int, Decimal]]:
    async with stored.database.transaction() as session:
        rows = await finances.balances(session, connection_id)
    return [(account.source_id, row.sync, row.balance) for account, row in rows]


async def one_account(stored: Stored) -> tuple[UUID, UUID]:
    """A connection, and the id of its account."""
    connection_id = await stored.active()
    ids = await write_accounts(stored, await begun(stored, connection_id), account("a"))
    return connection_id, ids["a"]


# -- transactions ----------------------------------------------------------------------------------


async def test_a_page_that_is_written_again_makes_no_second_rows_and_nothing_new(
    stored: Stored,
) -> None:
    connection_id, account_id = await one_account(stored)
    read = page(transaction(1), transaction(2))
    assert await write_page(stored, account_id, read) == 2
    assert await write_page(stored, account_id, read) == 0
    assert len(await kept_transactions(stored, connection_id)) == 2


async def test_a_transaction_that_is_read_again_is_as_it_was_read_last(stored: Stored) -> None:
    connection_id, account_id = await one_account(stored)
    await write_page(stored, account_id, page(transaction(1)))
    booked = page(transaction(1, "-1.15", "booked"), transaction(2))
    assert await write_page(stored, account_id, booked) == 1
    kept = await kept_transactions(stored, connection_id)
    assert kept == [("t2", Decimal("-1.10"), "pending"), ("t1", Decimal("-1.15"), "booked")]


async def test_a_page_that_names_a_transaction_twice_is_kept_with_the_last_of_them(
    stored: Stored,
) -> None:
    connection_id, account_id = await one_account(stored)
    read = page(transaction(1), transaction(1, "-2.20"))
    assert await write_page(stored, account_id, read) == 1
    assert await kept_transactions(stored, connection_id) == [("t1", Decimal("-2.20"), "pending")]


async def test_an_empty_page_moves_the_cursor_and_nothing_else(stored: Stored) -> None:
    connection_id, account_id = await one_account(stored)
    assert await write_page(stored, account_id, page(cursor="further")) == 0
    assert await cursor(stored, account_id) == "further"
    assert await kept_transactions(stored, connection_id) == []


async def test_the_cursor_is_the_one_after_the_last_page(stored: Stored) -> None:
    _, account_id = await one_account(stored)
    assert await cursor(stored, account_id) is None
    await write_page(stored, account_id, page(transaction(1), cursor="first"))
    await write_page(stored, account_id, page(transaction(2), cursor="second"))
    assert await cursor(stored, account_id) == "second"


async def test_a_page_and_its_cursor_are_written_together_or_not_at_all(stored: Stored) -> None:
    connection_id, account_id = await one_account(stored)
    await write_page(stored, account_id, page(transaction(1), cursor="before"))

    async def be_cut_off_after_writing() -> None:
        async with stored.database.transaction() as session:
            read = page(transaction(2), cursor="after")
            await finances.write_transactions(session, account_id, read, AT)
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        await be_cut_off_after_writing()
    assert [id for id, *_ in await kept_transactions(stored, connection_id)] == ["t1"]
    assert await cursor(stored, account_id) == "before"


async def test_a_page_that_the_database_refuses_moves_no_cursor(stored: Stored) -> None:
    connection_id, account_id = await one_account(stored)
    nul = replace(transaction(2), description="a NUL\0")
    with pytest.raises(Exception, match="0x00"):
        await write_page(stored, account_id, page(transaction(1), nul, cursor="after"))
    assert await kept_transactions(stored, connection_id) == []
    assert await cursor(stored, account_id) is None


async def test_an_amount_is_exact_to_its_last_digit(stored: Stored) -> None:
    connection_id, account_id = await one_account(stored)
    exact = "123456789012345678.123456789012"
    await write_page(stored, account_id, page(transaction(1, exact)))
    ((_, amount, _),) = await kept_transactions(stored, connection_id)
    assert str(amount) == exact


async def test_transactions_are_shown_newest_first_so_many_and_of_one_account(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    found = [account("a"), account("b")]
    ids = await write_accounts(stored, await begun(stored, connection_id), *found)
    await write_page(stored, ids["a"], page(*map(transaction, (1, 3, 2))))
    await write_page(stored, ids["b"], page(transaction(9)))
    newest = await kept_transactions(stored, connection_id, limit=2)
    assert [id for id, *_ in newest] == ["t9", "t3"]
    of_one = await kept_transactions(stored, connection_id, account="a")
    assert [id for id, *_ in of_one] == ["t3", "t2", "t1"]


# -- accounts and balances -------------------------------------------------------------------------


async def test_an_account_keeps_our_id_of_it_however_often_it_is_read(stored: Stored) -> None:
    connection_id = await stored.active()
    first = await write_accounts(stored, await begun(stored, connection_id), account("a"))
    again = await write_accounts(stored, await begun(stored, connection_id), account("a", "11"))
    assert first == again


async def test_an_account_that_is_not_named_any_more_is_kept_and_marked_until_it_comes_back(
    stored: Stored,
) -> None:
    connection_id = await stored.active()
    both = account("a"), account("b")
    ids = await write_accounts(stored, await begun(stored, connection_id), *both)
    await write_page(stored, ids["b"], page(transaction(1)))
    await write_accounts(stored, await begun(stored, connection_id), account("a"))
    assert await kept_accounts(stored, connection_id) == {"a": False, "b": True}
    assert len(await kept_transactions(stored, connection_id, account="b")) == 1
    await write_accounts(stored, await begun(stored, connection_id), *both)
    assert await kept_accounts(stored, connection_id) == {"a": False, "b": False}


async def test_a_connection_without_accounts_has_all_of_them_gone(stored: Stored) -> None:
    connection_id, _ = await one_account(stored)
    await write_accounts(stored, await begun(stored, connection_id))
    assert await kept_accounts(stored, connection_id) == {"a": True}


async def test_accounts_of_one_connection_are_nothing_to_another(stored: Stored) -> None:
    (one, _), (other, _) = await one_account(stored), await one_account(stored)
    await write_accounts(stored, await begun(stored, one))
    assert await kept_accounts(stored, other) == {"a": False}


async def test_a_reading_leaves_one_balance_of_each_account_that_is_there(stored: Stored) -> None:
    connection_id = await stored.active()
    first = await begun(stored, connection_id)
    await write_accounts(stored, first, account("a", "1"), account("b", "2"))
    await write_accounts(stored, first, account("a", "1"), account("b", "2"))
    second = await begun(stored, connection_id)
    await write_accounts(stored, second, account("a", "3"))
    assert await kept_balances(stored, connection_id) == [
        ("a", second.number, Decimal(3)),
        ("a", first.number, Decimal(1)),
        ("b", first.number, Decimal(2)),
    ]


# -- holdings --------------------------------------------------------------------------------------


async def test_holdings_are_those_that_were_read_last_and_sold_ones_are_gone(
    stored: Stored,
) -> None:
    connection_id, account_id = await one_account(stored)
    await write_holdings(stored, account_id, holding("x"), holding("y"))
    await write_holdings(stored, account_id, holding("y", "7"), holding("z"))
    assert await kept_holdings(stored, connection_id) == {"y": Decimal(7), "z": Decimal("99.5")}
    await write_holdings(stored, account_id)
    assert await kept_holdings(stored, connection_id) == {}


async def test_holdings_of_one_account_are_nothing_to_another(stored: Stored) -> None:
    connection_id = await stored.active()
    found = [account("a"), account("b")]
    ids = await write_accounts(stored, await begun(stored, connection_id), *found)
    await write_holdings(stored, ids["a"], holding("x"))
    await write_holdings(stored, ids["b"])
    assert await kept_holdings(stored, connection_id) == {"x": Decimal("99.5")}


# -- page by page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_each_transaction_once_though_many_are_booked_at_the_same_instant(
    stored: Stored, limit: int
) -> None:
    connection_id = await stored.active()
    ids = await write_accounts(stored, await begun(stored, connection_id), *map(account, "abc"))
    same = [replace(transaction(number), booked_at=AT) for number in range(7)]
    for account_id in ids.values():
        await write_page(stored, account_id, page(*same, transaction(1000)))
    found: list[TransactionRow] = []
    after = None
    while True:
        async with stored.database.transaction() as session:
            rows = await finances.transactions(session, connection_id, after=after, limit=limit)
        if not rows:
            break
        found += [row for _, row in rows]
        after = TransactionPlace(found[-1].booked_at, found[-1].account_id, found[-1].source_id)
    assert len(found) == len({(row.account_id, row.source_id) for row in found}) == 3 * 8
    assert [row.source_id for row in found[:3]] == ["t1000"] * 3
