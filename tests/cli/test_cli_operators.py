"""What an operator asks: the record of a connection, the providers, the keys."""

import asyncio
from datetime import UTC, datetime, timedelta
from signal import SIGINT

from pydantic import JsonValue

from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.retiring import Keys
from moorline.histories import EXACT_TO, OURS, kept
from storage import provider_apps
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
    (row,) = [row for row in rows_of(as_json) if row["slug"] == world.slug]
    assert row["credential"] == "OAuth 2.0, rotates: sometimes"
    assert (row["revocation"], row["data"], row["refused_since"]) == ("revokes", False, None)
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


async def test_a_provider_that_refuses_us_is_marked_in_the_list(
    world: World, terminal: Terminal
) -> None:
    async with world.database.transaction() as session:
        at = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
        await provider_apps.misconfigured(session, world.slug, "invalid_client", at)
    listed, as_json, away = await asyncio.gather(
        terminal.run("providers", "list"),
        terminal.run("providers", "list", "--json"),
        terminal.run("providers", "list", MOORLINE_DATABASE_URL=None),
    )
    (line,) = [line for line in listed.out.splitlines() if line.startswith(world.slug)]
    assert line.endswith("refused since 2026-11-22 03:14 (invalid_client)")
    (row,) = [row for row in rows_of(as_json) if row["slug"] == world.slug]
    assert (row["ready"], row["refused_code"]) == (True, "invalid_client")
    assert away.code == 0
    assert "Who refuses our client id or secret is not known" in away.out


async def test_an_entry_was_shown_in_the_words_of_python(terminal: Terminal) -> None:
    """Bug: `True`, `None` and `{'reader': 'sandbox', ...}`."""
    shown = (await terminal.run("providers", "show", "sandbox")).out
    assert "{reader: sandbox, url: " in shown
    assert "sends_iss               true" in shown
    assert "[{fields: {error: invalid_grant, error_subtype: access_revoked}, outcome:" in shown
    assert not any(word in shown for word in ("True", "None", "{'", "['"))


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
    before = await keys_status(busy, MOORLINE_KEYS=both)
    assert [(row.key, row.connections) for row in before.keys] == [("new", 0), ("test", 1)]
    rewrapped = await busy.run("keys", "rewrap", "--json", MOORLINE_KEYS=both)
    assert rewrapped.object == {"key": "new", "rewrapped": 1, "left": 0}
    after = await busy.run("keys", "status", MOORLINE_KEYS=both)
    assert "take it out of MOORLINE_KEYS if it is not" in after.out
    new_alone = both.partition(",")[0]
    token = await busy.run("token", view.connection_id, MOORLINE_KEYS=new_alone)
    assert token.out.startswith("mlcanary-at")


async def test_a_key_that_was_just_added_was_said_to_be_free(world: World, busy: Terminal) -> None:
    """Bug: `may be taken out`, said the first step of a rotation of the key it had added."""
    await world.connected()
    added = await keys_status(busy, MOORLINE_KEYS=f"{world.keys},{new_key('new')}")
    part = {row.key: row.part for row in added.keys}["new"]
    assert part.startswith("seals nothing: put it first if it is new")


async def test_payload_keys_are_needed_as_long_as_a_history_began_before(
    world: World, busy: Terminal
) -> None:
    other = {"MOORLINE_PAYLOAD_KEYS": f"{new_key('new')},{world.payload_keys}"}
    view = await world.connected()
    told = await keys_status(busy, **other)
    assert [(row.key, row.part) for row in told.payload_keys] == [
        ("new", "encrypts"),
        ("test", "opens only, as long as a history needs it"),
    ]
    assert told.oldest_history is not None
    assert told.oldest_history <= view.created_at  # of this namespace, where other tests live, too
    assert "If 'new' was first in every process by that time" in told.needed
    away = await busy.run("keys", "status", TEMPORAL_ADDRESS="127.0.0.1:1", **other)
    assert away.code == 0
    assert "Temporal does not answer at 127.0.0.1:1: since when only 'new' is needed" in away.out


async def test_the_oldest_history_is_found_to_the_second(world: World, busy: Terminal) -> None:
    view = await world.connected()
    oldest = (await kept(world.temporal)).since
    assert oldest is not None
    listed = [run.start_time async for run in world.temporal.list_workflows(OURS)]
    assert timedelta(0) <= min(listed) - oldest <= EXACT_TO
    assert view.created_at >= oldest


async def test_what_does_not_open_is_left_under_its_key_and_said(
    world: World, busy: Terminal
) -> None:
    await world.connected()
    other = new_key("other")
    status = await keys_status(busy, MOORLINE_KEYS=other)
    missing = {row.key: row.part for row in status.keys}["test"]
    assert missing == "missing: these connections cannot be opened"
    left = await busy.run("keys", "rewrap", MOORLINE_KEYS=other)
    assert left.code == 1
    assert "0 of 1 brought under 'other'.\n1 are left" in left.out


async def keys_status(terminal: Terminal, **environment: str) -> Keys:
    done = await terminal.run("keys", "status", "--json", **environment)
    return Keys.model_validate_json(done.out)


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
