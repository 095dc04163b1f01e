"""What was read of a connection, over HTTP: the provider's own figures, every row exactly once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from gateway.cursors import cursor_of
from gateway.data import AfterBalance, AfterTransaction
from providers.sandbox.remote import Truth
from tests.web.gateway import Web, gateway_of
from tests.world import Servers, data_of, new_world, until

KINDS = ("accounts", "holdings", "balances", "transactions")
Item = dict[str, str | None]


@pytest.fixture
async def reading(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    """A gateway of a world whose provider's data is read."""
    async with (
        new_world(servers, tmp_path, entry=data_of(servers)) as world,
        gateway_of(world) as web,
    ):
        yield web


async def read(web: Web, connection_id: UUID, times: int = 1) -> None:
    async def fact() -> bool:
        sync = (await web.world.connections.view(connection_id)).sync
        return sync is not None and sync.completed >= times

    await until(fact)


async def connected(web: Web) -> UUID:
    """A connection of which all data has been read."""
    connection_id = (await web.world.connected()).connection_id
    await read(web, connection_id)
    return connection_id


async def get(web: Web, connection_id: UUID, kind: str, **query: str | int) -> httpx.Response:
    return await web.app.get(f"/v1/connections/{connection_id}/{kind}", params=query)


async def items(web: Web, connection_id: UUID, kind: str) -> list[Item]:
    answer = await get(web, connection_id, kind)
    assert answer.status_code == 200
    found: list[Item] = answer.json()["items"]
    return found


async def pages(
    web: Web, connection_id: UUID, kind: str, **query: str | int
) -> AsyncIterator[list[Item]]:
    """Page after page, up to the last."""
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        answer = await get(web, connection_id, kind, **query, **more)
        assert answer.status_code == 200
        yield answer.json()["items"]
        cursor = answer.json()["next_cursor"]


async def every(web: Web, connection_id: UUID, kind: str, **query: str | int) -> list[Item]:
    found = [page async for page in pages(web, connection_id, kind, **query)]
    assert all(len(page) == query.get("limit", 100) for page in found[:-1])
    return [item for page in found for item in page]


def amount(item: Item, name: str) -> Decimal:
    value = item[name]
    assert isinstance(value, str), "money is text"
    return Decimal(value)


def moment(item: Item, name: str) -> datetime:
    return datetime.fromisoformat(item[name] or "")


async def test_counts_and_sums_are_the_provider_s_own(reading: Web) -> None:
    connection_id = await connected(reading)
    transactions = await every(reading, connection_id, "transactions", limit=500)
    holdings = await items(reading, connection_id, "holdings")
    held = []
    for account in await items(reading, connection_id, "accounts"):
        moved = [each for each in transactions if each["account"] == account["id"]]
        worth = [each for each in holdings if each["account"] == account["id"]]
        held.append(
            Truth(
                id=account["id"] or "",
                currency=account["currency"] or "",
                balance=amount(account, "balance"),
                transactions=len(moved),
                sum=sum((amount(each, "amount") for each in moved), Decimal(0)),
                holdings=len(worth),
                value=sum((amount(each, "value") for each in worth), Decimal(0)),
            )
        )
    truth = await reading.world.sandbox.finances("alice")
    assert len(truth) > 1
    assert sorted(held, key=id_of) == sorted(truth, key=id_of)


def id_of(truth: Truth) -> str:
    return truth.id


async def test_account_numbers_are_masked(reading: Web) -> None:
    found = await items(reading, await connected(reading), "accounts")
    assert found
    assert all((account["number"] or "").startswith("••••") for account in found)


@pytest.mark.parametrize("limit", [7, 100, 500])
async def test_paging_visits_every_transaction_exactly_once_newest_first(
    reading: Web, limit: int
) -> None:
    connection_id = await connected(reading)
    found = await every(reading, connection_id, "transactions", limit=limit)
    truth = await reading.world.sandbox.finances("alice")
    assert len(found) == sum(each.transactions for each in truth)
    assert len({(each["account"], each["id"]) for each in found}) == len(found)
    times = [moment(each, "booked_at") for each in found]
    assert times == sorted(times, reverse=True)


async def test_transactions_of_one_account_are_its_own_and_all_of_them(reading: Web) -> None:
    connection_id = await connected(reading)
    for truth in await reading.world.sandbox.finances("alice"):
        found = await every(reading, connection_id, "transactions", account=truth.id, limit=50)
        assert {each["account"] for each in found} == {truth.id}
        assert len(found) == truth.transactions
    assert await every(reading, connection_id, "transactions", account="another") == []


async def test_transactions_that_come_meanwhile_move_nothing_on_the_pages_that_follow(
    reading: Web,
) -> None:
    connection_id = await connected(reading)
    before = await every(reading, connection_id, "transactions", limit=500)
    first = await get(reading, connection_id, "transactions", limit=10)
    await reading.world.sandbox.grow("alice", 20)
    await reading.world.connections.sync_now(connection_id)
    await read(reading, connection_id, times=2)
    cursor = first.json()["next_cursor"]
    second = await get(reading, connection_id, "transactions", limit=10, cursor=cursor)
    assert second.json()["items"] == before[10:20]


async def test_paging_visits_every_balance_exactly_once_newest_first(reading: Web) -> None:
    connection_id = await connected(reading)
    for times in (2, 3):
        await reading.world.connections.sync_now(connection_id)
        await read(reading, connection_id, times=times)
    accounts = await items(reading, connection_id, "accounts")
    found = await every(reading, connection_id, "balances", limit=2)
    assert len(found) == 3 * len(accounts)
    assert len({(each["account"], each["at"]) for each in found}) == len(found)
    times_read = [moment(each, "at") for each in found]
    assert times_read == sorted(times_read, reverse=True)
    held = {each["id"]: amount(each, "balance") for each in accounts}
    newest = found[: len(accounts)]
    assert {each["account"]: amount(each, "balance") for each in newest} == held


@pytest.mark.parametrize("kind", KINDS)
async def test_each_route_lets_in_only_keys_of_applications_and_operators(
    web_without_worker: Web, kind: str
) -> None:
    web, path = web_without_worker, f"/v1/connections/{uuid4()}/{kind}"
    for client, status in (
        (web.anyone, 401),
        (web.lease, 403),
        (web.metrics, 403),
        (web.app, 404),
        (web.admin, 404),
    ):
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["balances", "transactions"])
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "bnVsbA",
        cursor_of(AfterBalance(sync=1, account=uuid4()))[:-9],
        "eyJhdCI6IjAwMDEtMDEtMDFUMDA6MDA6MDArMjM6MDAiLCJhY2NvdW50IjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMD"
        "AtMDAwMDAwMDAwMDAwIiwiaWQiOiJ4In0",
    ],
    ids=["empty", "short", "not ascii", "null", "cut", "before all time"],
)
async def test_a_cursor_that_cannot_be_read_is_a_problem(
    web_without_worker: Web, kind: str, cursor: str
) -> None:
    answer = await get(web_without_worker, uuid4(), kind, cursor=cursor)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:moorline:problem:invalid-input"


async def test_a_text_that_no_row_can_hold_is_a_problem(web_without_worker: Web) -> None:
    place = AfterTransaction(at=datetime.now(UTC), account=uuid4(), id="a")
    forged = cursor_of(place.model_copy(update={"id": "a\x00b"}))
    for query in ({"cursor": forged}, {"account": "a\x00b"}):
        answer = await get(web_without_worker, uuid4(), "transactions", **query)
        assert answer.status_code == 422


@pytest.mark.parametrize("limit", [0, 501, "many"])
async def test_a_page_has_from_1_to_500_items(web_without_worker: Web, limit: int | str) -> None:
    answer = await get(web_without_worker, uuid4(), "transactions", limit=limit)
    assert answer.status_code == 422
