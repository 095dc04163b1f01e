"""Reading data and connecting by key, from the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.cli.terminal import Terminal, terminal_of
from tests.world import Servers, World, data_of, new_world, until, write_broker
from workflows.names import workflow_id

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
    assert {len(row.rstrip()) for row in accounts.out.splitlines()[1:]} == {
        len(accounts.out.splitlines()[0].rstrip())
    }  # money is aligned right
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


async def test_an_account_that_there_is_not_was_said_to_be_unread(
    reading: World, shell: Terminal
) -> None:
    """Bug: `Nothing has been read.`, though other accounts were."""
    view = await reading.connected()
    await shell.run("sync", view.connection_id)
    said = await shell.fails("transactions", view.connection_id, "--account", "nosuch")
    assert f"no account 'nosuch': `moorline accounts {view.connection_id}`" in said


async def test_a_sync_went_on_waiting_for_a_connection_that_was_disconnected(
    reading: World, shell: Terminal
) -> None:
    """Bug: for ten minutes, and then it proposed to authorize what is over."""
    view = await reading.connected()
    await reading.plant("api", "delay", seconds=60, times=None)
    async with shell.running("sync", view.connection_id) as command:
        await _is_being_read(reading)
        await reading.connections.disconnect(view.connection_id)
        done = await command.ended(within_s=20)
    await reading.sandbox.clear()
    over = "Error: The connection has been disconnected\n"
    assert (done.code, done.err) == (1, over)
    await reading.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert await shell.fails("sync", view.connection_id) == over


async def test_a_sync_of_what_is_revoked_meanwhile_ends_and_names_the_way_back(
    reading: World, shell: Terminal
) -> None:
    view = await reading.connected()
    held = await reading.plant("api", "delay", seconds=60, times=None)
    async with shell.running("sync", view.connection_id) as command:
        await _is_being_read(reading)
        await reading.connections.revoke(view.connection_id)
        await reading.sandbox.clear(held)
        done = await command.ended()
    assert done.code == 1
    assert f"revoked it; `moorline authorize {view.connection_id}`" in done.err


async def test_a_sync_asked_for_during_another_took_that_one_for_its_own(
    reading: World, shell: Terminal
) -> None:
    """Bug: it answered with data that had been read before it was asked."""
    view = await reading.connected()

    async def read_once() -> bool:
        sync = (await reading.connections.view(view.connection_id)).sync
        return sync is not None and sync.completed == 1

    await until(read_once)
    held = await reading.plant("api", "delay", seconds=60, times=1)
    async with shell.running("sync", view.connection_id):
        await _is_being_read(reading)
        async with shell.running("sync", view.connection_id, "--json") as second:
            await _was_asked_for(reading, view.connection_id, 2)
            await reading.sandbox.clear(held)
            done = await second.ended()
    sync = ConnectionView.model_validate_json(done.out).sync
    assert sync is not None
    assert sync.completed == 3


async def _is_being_read(reading: World) -> None:
    """The provider holds an answer back."""

    async def held() -> bool:
        return any(entry.finished_at is None for entry in await reading.log("api"))

    await until(held)


async def _was_asked_for(reading: World, connection_id: UUID, times: int) -> None:
    handle = reading.temporal.get_workflow_handle(workflow_id(connection_id))

    async def asked() -> bool:
        history = await handle.fetch_history()
        signals = [event.workflow_execution_signaled_event_attributes for event in history.events]
        return [signal.signal_name for signal in signals].count("sync_now") == times

    await until(asked)


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
    (view,) = await reading.connections.list(user_id=reading.user_id)
    again = await shell.fails("authorize", view.connection_id)
    assert f"`moorline authorize {view.connection_id} --api-key-stdin`" in again


async def test_what_becomes_of_a_key_was_one_word(reading: World, shell: Terminal) -> None:
    """Bug: `unsupported`, and not that it works on until its user deletes it."""
    made = await reading.sandbox.new_key()
    words = ("connect", BROKER, "--user", reading.user_id, "--api-key-stdin", "--json")
    connected = await shell.run(*words, stdin=f"{made.api_key}\n")
    ended = await shell.run("disconnect", connected.object["connection_id"], "--yes")
    assert "api_key: unsupported: the key works until its user deletes it" in ended.out


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
    checked = await shell.fails("providers", "check", BROKER)
    assert f"`moorline connect {BROKER} --user USER --api-key-stdin`" in checked
