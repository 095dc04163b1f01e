"""The whole life of a connection, told by commands alone."""

import asyncio
from signal import SIGINT
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.cli.terminal import Terminal, get
from tests.world import World, write_entry

views_of = TypeAdapter(list[ConnectionView])


async def test_a_connection_lives_from_connect_to_disconnect_by_commands_alone(
    world: World, busy: Terminal
) -> None:
    connection_id = await _connects(world, busy)
    await _is_read(world, busy, connection_id)
    await _is_used(busy, connection_id)
    await _is_revoked(busy, connection_id)
    await _is_authorized_again(world, busy, connection_id)
    await _is_disconnected(busy, connection_id)


async def _connects(world: World, terminal: Terminal) -> UUID:
    words = ("connect", world.slug, "--user", world.user_id, "--alias", "my bank")
    async with terminal.running(*words) as command:
        url = await command.url()
        assert "PENDING" in await command.says("PENDING")
        page = await get(await world.sandbox.authorize(url))
        assert page.status_code == 200
        done = await command.ended()
    assert done.code == 0
    assert done.err == ""
    assert "ACTIVE since" in done.out
    assert "the user authorized it" in done.out
    (view,) = await world.connections.list(user_id=world.user_id)
    assert (view.alias, view.status) == ("my bank", ConnectionStatus.ACTIVE)
    return view.connection_id


async def _is_read(world: World, terminal: Terminal, connection_id: UUID) -> None:
    listed, none, as_json, shown, card, explained = await asyncio.gather(
        terminal.run("list", "--user", world.user_id, "--status", "active"),
        terminal.run("list", "--status", "revoked"),
        terminal.run("list", "--provider", world.slug, "--json"),
        terminal.run("show", connection_id, "--json"),
        terminal.run("show", connection_id),
        terminal.run("explain", connection_id, "--json"),
    )
    assert all(word in listed.out for word in (str(connection_id), "my bank", "ACTIVE", "ends in"))
    assert none.out == "No such connections.\n"
    view = await world.connections.view(connection_id)
    assert views_of.validate_json(as_json.out) == [view]
    assert ConnectionView.model_validate_json(shown.out) == view
    assert "access token  generation 1, ends in" in card.out
    assert explained.object["who_must_act"] == "nobody"
    assert str(explained.object["text"]).startswith("ACTIVE since ")


async def _is_used(terminal: Terminal, connection_id: UUID) -> None:
    token = await terminal.run("token", connection_id)
    assert token.out.startswith("mlcanary-at-")
    assert token.out.count("\n") == 1
    refreshed = await terminal.run("refresh", connection_id)
    assert refreshed.out.startswith("Refreshed: access token 2 ends in")
    again, renamed = await asyncio.gather(
        terminal.run("token", connection_id, "--json", "--min-ttl", 10**9),
        terminal.run("rename", connection_id, "other"),
    )
    newer = again.object
    assert newer["access_token"] != token.out.strip()
    assert (newer["token_type"], newer["generation"]) == ("Bearer", 2)
    assert str(newer["expires_at"]).endswith("Z")  # as everywhere
    assert 0 < float(str(newer["min_ttl_s"])) <= 1800  # half of the lifetime
    assert renamed.out == "It is called other now.\n"
    unnamed = await terminal.run("rename", connection_id, "--none", "--json")
    assert unnamed.object["alias"] is None


async def _is_revoked(terminal: Terminal, connection_id: UUID) -> None:
    revoked = await terminal.run("revoke", connection_id)
    assert revoked.out.startswith("REVOKED.")
    assert "refresh_token: revoked" in revoked.out
    assert "all secrets are destroyed" in revoked.out
    refusal = await terminal.fails("token", connection_id)
    assert f"`moorline authorize {connection_id}`" in refusal


async def _is_authorized_again(world: World, terminal: Terminal, connection_id: UUID) -> None:
    async with terminal.running("authorize", connection_id, "--json") as command:
        back = await world.sandbox.authorize(await command.url())
        await get(back)
        done = await command.ended()
    assert done.object["status"] == "active"
    assert done.object["connection_id"] == str(connection_id)
    assert done.object["receipt"] is None
    explained = await terminal.run("explain", connection_id)
    assert "destroyed" not in explained.out


async def _is_disconnected(terminal: Terminal, connection_id: UUID) -> None:
    ended = await terminal.run("disconnect", connection_id, "--yes")
    assert ended.out.startswith("No token is handed out any more.\nDISCONNECTED.\n")
    assert "access_token: revoked" in ended.out
    again, revoked, *refusals = await asyncio.gather(
        terminal.run("disconnect", connection_id),
        terminal.run("revoke", connection_id, "--json"),
        terminal.run("refresh", connection_id),
        terminal.run("rename", connection_id, "x"),
        terminal.run("authorize", connection_id),
        terminal.run("token", connection_id),
    )
    assert again.code == 0
    assert "is over: disconnected" in again.out
    assert revoked.object["status"] == "disconnected"
    for refused in refusals:
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
        assert "has been disconnected" in refused.err


async def test_without_waiting_it_is_finished_by_the_address_the_browser_ended_on(
    world: World, busy: Terminal
) -> None:
    connection_id = uuid4()
    words = ("connect", world.slug, "--user", world.user_id, "--id", connection_id, "--no-wait")
    begun = (await busy.run(*words, "--json")).object
    assert begun["connection_id"] == str(connection_id)
    back = await world.sandbox.authorize(str(begun["url"]))
    other = await world.connected()
    refusal = await busy.fails("authorize", other.connection_id, back)
    assert "belongs to another connection's authorization" in refusal
    finished = await busy.run("authorize", connection_id, back)
    assert finished.code == 0
    assert "ACTIVE since" in finished.out
    assert "received its answer before" in await busy.fails("authorize", connection_id, back)


async def test_another_terminal_may_finish_what_one_waits_for(world: World, busy: Terminal) -> None:
    words = ("connect", world.slug, "--user", world.user_id, "--json")
    async with busy.running(*words) as command:
        back = await world.sandbox.authorize(await command.url())
        (view,) = await world.connections.list(user_id=world.user_id)
        await busy.run("authorize", view.connection_id, back)
        done = await command.ended()
    assert done.object["status"] == "active"
    assert "waiting for the answer" in done.err


async def test_a_user_who_declines_ends_the_wait(world: World, busy: Terminal) -> None:
    async with busy.running("connect", world.slug, "--user", world.user_id) as command:
        back = await world.sandbox.authorize(await command.url(), decision="deny")
        page = await get(back)
        done = await command.ended()
    assert done.code == 1
    assert "denied" not in page.text
    (view,) = await world.connections.list(user_id=world.user_id)
    assert view.status is ConnectionStatus.FAILED
    assert done.err == (
        "Error: not authorized: the user declined at the provider; "
        f"connection {view.connection_id} is FAILED: "
        f"`moorline authorize {view.connection_id}` begins again\n"
    )


async def test_a_connection_that_is_alive_stays_so_when_its_user_declines(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    async with busy.running("authorize", view.connection_id) as command:
        await get(await world.sandbox.authorize(await command.url(), decision="deny"))
        done = await command.ended()
    assert done.code == 1
    assert f"connection {view.connection_id} is ACTIVE" in done.err


async def test_a_user_who_never_comes_leaves_the_connection_pending(
    world: World, busy: Terminal
) -> None:
    words = ("connect", world.slug, "--user", world.user_id, "--timeout", 1)
    done = await busy.run(*words)
    assert (done.code, done.err.count("\n")) == (1, 1)
    (view,) = await world.connections.list(user_id=world.user_id)
    assert view.status is ConnectionStatus.PENDING
    assert f"connection {view.connection_id} stays PENDING" in done.err


async def test_ctrl_c_ends_the_wait_and_says_what_is_left(world: World, busy: Terminal) -> None:
    async with busy.running("connect", world.slug, "--user", world.user_id) as command:
        await command.says("waiting for the answer")
        done = await command.told(SIGINT)
    (view,) = await world.connections.list(user_id=world.user_id)
    assert done.code == 130
    assert done.err == (
        f"Not waiting any more: connection {view.connection_id} stays PENDING: "
        f"`moorline authorize {view.connection_id}` begins again.\n"
    )


async def test_a_connection_was_left_behind_where_our_secret_was_not_set(
    world: World, busy: Terminal
) -> None:
    """Bug: it stayed PENDING, and nobody was told its id."""
    unset = {"client_secret": "${NOT_SET_ANYWHERE}"}
    write_entry(world.folder, world.sandbox.base_url, world.slug, **unset)
    line = await busy.fails("connect", world.slug, "--user", world.user_id)
    assert "the environment variable NOT_SET_ANYWHERE is not set" in line
    assert await world.connections.list(user_id=world.user_id) == []
