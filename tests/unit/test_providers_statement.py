"""A user's CSV file: read whole or not at all, and never taken at its word."""

from decimal import Decimal

import pytest

from domain.files import named
from providers.statement import MOST_ACCOUNTS, NotAStatement, Statement, plain
from tests.given import STATEMENT

HEADER = "account,booked_on,amount,currency,description,balance"


def refusal(content: str) -> str:
    with pytest.raises(NotAStatement) as refused:
        Statement.parse(content)
    return str(refused.value)


def test_a_statement_tells_accounts_as_of_their_last_line() -> None:
    found = Statement.parse(STATEMENT)
    giro, savings = found.accounts.values()
    assert (giro.balance.amount, giro.balance.currency) == (Decimal("1186.00"), "EUR")
    assert (savings.name, savings.balance.amount) == ("Savings", Decimal(10))
    rows = found.transactions[giro.id]
    assert [str(row.amount.amount) for row in rows] == ["1200.50", "-7.25", "-7.25"]
    assert rows[0].booked_at.isoformat() == "2026-10-01T00:00:00+00:00"


def test_an_account_number_is_not_kept_whole() -> None:
    giro = next(iter(Statement.parse(STATEMENT).accounts.values()))
    assert giro.name == giro.number == "••••9012"
    assert "1234" not in repr(giro)


def test_lines_that_are_alike_are_not_one_and_keep_their_ids_in_a_longer_file() -> None:
    def ids(content: str) -> list[str]:
        return [each.id for rows in Statement.parse(content).transactions.values() for each in rows]

    longer = f"{STATEMENT}DE02 1234 5678 9012,2026-10-09,1,EUR,Refund,1187.00\n"
    assert len(set(ids(STATEMENT))) == 4
    assert set(ids(STATEMENT)) < set(ids(longer))
    assert len(ids(longer)) == 5


def test_an_id_of_the_banks_own_goes_before_what_a_line_says() -> None:
    def id_of(description: str) -> str:
        line = f"A,2026-10-01,1,EUR,{description},1,42"
        (rows,) = Statement.parse(f"{HEADER},id\n{line}\n").transactions.values()
        return rows[0].id

    assert id_of("Refund") == id_of("Refund, corrected".replace(",", ""))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(cell: str) -> None:
    (rows,) = Statement.parse(f"{HEADER}\nA,2026-10-01,1,EUR,{cell},1\n").transactions.values()
    assert rows[0].description == plain(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "its first line does not name these columns: account"),
        ("account,amount\n", "booked_on, currency, description, balance"),
        (f"{HEADER}\n", "it has no transactions"),
        (f"{HEADER}\nA,2026-10-01,1\n", "line 2: it has fewer cells than the first"),
        (f"{HEADER}\nA,01.10.2026,1,EUR,mlcanary,1\n", "line 2, booked_on: it is no date"),
        (f"{HEADER}\nA,2026-13-01,1,EUR,mlcanary,1\n", "line 2, booked_on: it is no date"),
        (f'{HEADER}\nA,2026-10-01,"1,50",EUR,mlcanary,1\n', "line 2, amount: it is no decimal"),
        (f"{HEADER}\nA,2026-10-01,=1+1,EUR,mlcanary,1\n", "line 2, amount: it is no decimal"),
        (f"{HEADER}\nA,2026-10-01,NaN,EUR,mlcanary,1\n", "line 2, amount: it is no decimal"),
        (f"{HEADER}\nA,2026-10-01,1e9,EUR,mlcanary,1\n", "line 2, amount: it is no decimal"),
        (f"{HEADER}\nA,2026-10-01,1,euro,mlcanary,1\n", "line 2, currency: it is no code"),
        (f"{HEADER}\nA,2026-10-01,1,EUR,mlcanary,\n", "line 2, balance: it is missing"),
        (f"{HEADER}\nA,2026-10-01,1,EUR,nul\0,1\n", "line 2, description"),
        (f"{HEADER}\nmlcanary\ud800,2026-10-01,1,EUR,,1\n", "line 2, account"),
        (f"{HEADER}\nA,2026-10-01,1,EUR,{'x' * 501},1\n", "line 2, description"),
        (f'{HEADER}\nA,2026-10-01,1,EUR,"mlcanary,1\n', "this is no CSV"),
        (
            f"{HEADER}\nA,2026-10-02,1,EUR,,1\nA,2026-10-01,1,EUR,mlcanary,2\n",
            "line 3, booked_on: the lines of an account stand oldest first",
        ),
        (
            f"{HEADER}\nA,2026-10-01,1,EUR,,1\nA,2026-10-01,1,USD,mlcanary,2\n",
            "line 3, currency: an account has one currency",
        ),
    ],
)
def test_a_file_of_another_layout_is_told_by_line_and_column_alone(content: str, said: str) -> None:
    told = refusal(content)
    assert said in told
    assert "mlcanary" not in told


def test_bug_a_file_of_tens_of_thousands_of_accounts_kept_a_worker_busy_for_minutes() -> None:
    lines = [f"{account},2026-10-01,1,EUR,,1" for account in range(MOST_ACCOUNTS)]
    assert len(Statement.parse("\n".join([HEADER, *lines])).accounts) == MOST_ACCOUNTS
    told = refusal("\n".join([HEADER, *lines, "One more,2026-10-01,1,EUR,mlcanary,1\n"]))
    assert f"line {MOST_ACCOUNTS + 2}, account: a file tells of at most" in told


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("export.csv", "export.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\me\\a.csv", "a.csv"),
        ("a\n\x00b", "ab"),
        ("", "file"),
        (None, "file"),
        ("x" * 500, "x" * 100),
    ],
)
def test_a_name_is_a_name_and_no_path(name: str | None, kept: str) -> None:
    assert named(name) == kept
