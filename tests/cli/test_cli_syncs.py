"""Reading data and connecting by key, from the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.terminal import Terminal, terminal_of
from tests.world import Servers, World, data_of, new_world, write_broker

BROKER = "broker"


@pytest.fixture
async def reading(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world with a worker, data to be read, and a broker that takes keys."""
    write_broker(tmp_path, servers.sandbox.base_url, BROKER)
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        yield world


@pytest.fixture
def shell(reading: World) -> Terminal:
    return terminal_of(reading, 8400)


async def test_data_is_read_on_demand_and_shown(reading: World, shell: Terminal) -> None:
    view = await reading.connected()
    done = await shell.run("sync", view.connection_id)
    assert done.code == 0, done
    assert "Data was read" in done.out
    accounts = await shell.run("accounts", view.connection_id)
    assert "••••" in accounts.out
    assert "CANARY" not in accounts.out
    truth = await reading.sandbox.finances("alice")
    assert all(each.id in accounts.out for each in truth)
    listed = await shell.run("transactions", view.connection_id, "--limit", 10_000, "--json")
    rows = json.loads(listed.out)
    assert len(rows) == sum(each.transactions for each in truth)
    assert all(isinstance(row["amount"], str) for row in rows)
    assert "ACME" in (await shell.run("holdings", view.connection_id)).out
    balances = await shell.run("balances", view.connection_id, "--json")
    assert len(json.loads(balances.out)) >= len(truth)


async def test_transactions_of_one_account_only(reading: World, shell: Terminal) -> None:
    view = await reading.connected()
    await shell.run("sync", view.connection_id)
    account, *_ = await reading.sandbox.finances("alice")
    words = ("transactions", view.connection_id, "--account", account.id, "--json")
    rows = json.loads((await shell.run(*words)).out)
    assert {row["account"] for row in rows} == {account.id}
    assert len(rows) == 100


async def test_a_sync_that_fails_says_so_by_its_exit_code(reading: World, shell: Terminal) -> None:
    await reading.plant("api", "status", status=403, body={}, times=None)
    view = await reading.connected()
    done = await shell.run("sync", view.connection_id)
    assert done.code == 1
    assert "reading failed" in done.out
    doctor = await shell.run("doctor")
    assert "of 1 connections it cannot be read: what the user granted does not" in doctor.out


async def test_what_cannot_be_read_is_one_line(world: World, terminal: Terminal) -> None:
    assert "no connection" in await terminal.fails("accounts", uuid4())
    async with world.working():
        view = await world.connected()
        assert "no data is read" in await terminal.fails("sync", view.connection_id)
    done = await terminal.run("transactions", view.connection_id)
    assert (done.code, done.out) == (0, "Nothing has been read.\n")


async def test_a_key_on_standard_input_makes_a_connection(reading: World, shell: Terminal) -> None:
    made = await reading.sandbox.new_key()
    words = ("connect", BROKER, "--user", reading.user_id, "--api-key-stdin")
    done = await shell.run(*words, stdin=f"{made.api_key}\n")
    assert done.code == 0, done
    assert "the API key is verified" in done.out
    assert made.api_key not in done.out + done.err


@pytest.mark.parametrize("key", ["", "two words", "não", "mlcanary-key-made-up"])
async def test_a_key_that_is_none_is_refused_in_one_line(
    reading: World, shell: Terminal, key: str
) -> None:
    words = ("connect", BROKER, "--user", reading.user_id, "--api-key-stdin")
    said = await shell.fails(*words, stdin=f"{key}\n")
    assert "key" in said
    assert not key or key not in said


async def test_a_provider_that_takes_keys_has_no_page(reading: World, shell: Terminal) -> None:
    said = await shell.fails("connect", BROKER, "--user", reading.user_id)
    assert "--api-key-stdin" in said


async def test_providers_are_listed_with_what_their_users_give(shell: Terminal) -> None:
    listed = (await shell.run("providers", "list")).out
    (broker,) = [line for line in listed.splitlines() if line.startswith(f"{BROKER} ")]
    assert "API key" in broker
    assert "api_key" in (await shell.run("providers", "show", BROKER)).out
    assert "API key" in await shell.fails("providers", "check", BROKER)
