"""What an operator asks: the record of a connection, the providers, the keys."""

import asyncio
from signal import SIGINT

from pydantic import JsonValue

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage.database import run
from storage.keyring import new_key
from tests.cli.terminal import Done, Terminal
from tests.world import World, write_entry


def rows_of(done: Done) -> list[dict[str, JsonValue]]:
    """The JSON array of objects that it printed."""
    assert isinstance(done.json, list)
    return [row for row in done.json if isinstance(row, dict)]


async def test_all_that_happened_is_listed_in_order_and_the_record_is_whole(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    await world.connections.revoke(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    told, as_json = await asyncio.gather(
        busy.run("events", view.connection_id), busy.run("events", view.connection_id, "--json")
    )
    recorded = await world.event_types(view.connection_id)
    assert as_json.object["whole"] is True
    listed = as_json.object["events"]
    assert isinstance(listed, list)
    assert [event["type"] for event in listed if isinstance(event, dict)] == recorded
    assert "ConnectionRevoked" in recorded
    places = [told.out.index(name) for name in dict.fromkeys(recorded)]
    assert places == sorted(places)
    assert f"{len(recorded)} events, the record is whole." in told.out


async def test_a_record_that_was_tampered_with_is_found(world: World, busy: Terminal) -> None:
    view = await world.connected()
    async with world.database.transaction() as session:
        first = "DELETE FROM events WHERE connection_id = :id AND seq = 1"
        await run(session, first, {"id": view.connection_id})
    done = await busy.run("events", view.connection_id)
    assert done.code == 1
    assert "the chain does not fit" in done.out
    assert "no connection" in await busy.fails("events", world.user_id)


async def test_providers_are_listed_with_whether_we_are_ready_and_shown_without_a_secret(
    world: World, terminal: Terminal
) -> None:
    listed, as_json, shown, unknown = await asyncio.gather(
        terminal.run("providers", "list"),
        terminal.run("providers", "list", "--json"),
        terminal.run("providers", "show", world.slug, "--json"),
        terminal.fails("providers", "show", "nowhere"),
    )
    ready = {row["slug"]: row["ready"] for row in rows_of(as_json)}
    assert ready[world.slug] is True
    assert ready["xero"] is False
    assert "Xero" in listed.out
    assert shown.object["client_secret"] == "(stands in the entry)"
    assert str(shown.object["token_url"]).endswith("/token")
    assert "unknown provider 'nowhere'" in unknown


async def test_a_provider_is_asked_whether_it_knows_us_and_no_connection_notices(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    known = await busy.run("providers", "check", world.slug, "--json")
    assert (known.code, known.object["known"]) == (0, True)
    await world.sandbox.change_secret(world.client_id, "mlcanary-another-secret")
    refused = await busy.run("providers", "check", world.slug)
    assert refused.code == 1
    assert "refuses our client id or secret (invalid_client)" in refused.out
    assert (await world.connections.view(view.connection_id)).updated_at == view.updated_at


async def test_a_provider_that_is_away_did_not_say_whether_it_knows_us(
    world: World, terminal: Terminal
) -> None:
    write_entry(world.folder, "http://127.0.0.1:1", "away")
    away, bare = await asyncio.gather(
        terminal.run("providers", "check", "away", "--json"),
        terminal.fails("providers", "check", "xero"),
    )
    assert (away.code, away.object["known"]) == (1, None)
    assert "MOORLINE_XERO_CLIENT_" in bare


async def test_keys_are_rotated_by_adding_one_rewrapping_and_taking_the_old_one_out(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    both = f"{new_key('new')},{world.keys}"
    before = rows_of(await busy.run("keys", "status", "--json", MOORLINE_KEYS=both))
    assert [(row["key"], row["connections"]) for row in before] == [("new", 0), ("test", 1)]
    rewrapped = await busy.run("keys", "rewrap", "--json", MOORLINE_KEYS=both)
    assert rewrapped.object == {"key": "new", "rewrapped": 1, "left": 0}
    after = await busy.run("keys", "status", MOORLINE_KEYS=both)
    assert "may be taken out of MOORLINE_KEYS" in after.out
    new_alone = both.partition(",")[0]
    token = await busy.run("token", view.connection_id, MOORLINE_KEYS=new_alone)
    assert token.out.startswith("mlcanary-at")


async def test_what_does_not_open_is_left_under_its_key_and_said(
    world: World, busy: Terminal
) -> None:
    await world.connected()
    other = new_key("other")
    status = rows_of(await busy.run("keys", "status", "--json", MOORLINE_KEYS=other))
    missing = {row["key"]: row["part"] for row in status}["test"]
    assert missing == "missing: these connections cannot be opened"
    left = await busy.run("keys", "rewrap", MOORLINE_KEYS=other)
    assert left.code == 1
    assert "0 brought under 'other'.\n1 are left" in left.out


async def test_a_connection_is_watched_from_its_first_refresh_to_its_end(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    async with busy.running("watch", view.connection_id) as command:
        await command.says("ACTIVE since")
        await world.connections.refresh(view.connection_id)
        await command.says("ProviderTokenRefreshSucceeded")
        await command.says("access token 2 ends")
        async with world.without_database():
            await command.says("watching on")
        await world.connections.disconnect(view.connection_id)
        await command.says("ProviderDisconnectionSucceeded")
        done = await command.ended()
    assert done.code == 0
    assert "DISCONNECTED since" in done.out


async def test_what_is_watched_as_json_is_a_view_in_every_line_until_ctrl_c(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    async with busy.running("watch", view.connection_id, "--json") as command:
        await command.says('"generation":1')
        await world.connections.refresh(view.connection_id)
        await command.says('"generation":2')
        done = await command.told(SIGINT)
    views = [ConnectionView.model_validate_json(line) for line in done.out.splitlines()]
    assert {each.connection_id for each in views} == {view.connection_id}
    assert done.code == 130
