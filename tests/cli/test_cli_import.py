"""Credentials one has, from standard input: sealed, imported, never shown."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.cli.terminal import Terminal
from tests.world import World

WORDS = ("--credentials-stdin", "--user", str(uuid4()))
ROTTEN = {
    "nothing": ("", "not JSON"),
    "half an object": ('{"access_token": "mlcanary-half"', "not JSON"),
    "a list": ('["mlcanary-list"]', "should be an object"),
    "no access token": ('{"refresh_token": "mlcanary-rt"}', "access_token: Field required"),
    "an empty one": ('{"access_token": ""}', "access_token"),
    "a life in words": ('{"access_token": "mlcanary-a", "expires_in": "mlcanary"}', "expires_in"),
    "a life of nothing": ('{"access_token": "mlcanary-a", "expires_in": 0}', "expires_in"),
    "an end without offset": (
        '{"access_token": "mlcanary-a", "expires_at": "2027-01-01T00:00:00"}',
        "expires_at",
    ),
    "two ends": (
        '{"access_token": "mlcanary-a", "expires_in": 1, "expires_at": "2027-01-01T00:00:00Z"}',
        "once",
    ),
}


async def test_imported_credentials_are_leased_and_refreshed(world: World, busy: Terminal) -> None:
    minted = await world.sandbox.mint(world.client_id)
    given = {
        "access_token": minted.access_token,
        "refresh_token": minted.refresh_token,
        "token_type": "bearer",
        "scope": "profile",
        "expires_in": 3600,
        "id_token": "mlcanary-ignored",
    }
    words = ("connect", world.slug, *WORDS, "--alias", "imported", "--json")
    imported = (await busy.run(*words, stdin=json.dumps(given))).object
    assert (imported["status"], imported["reason"]) == ("active", "imported")
    ends = datetime.fromisoformat(str(imported["expires_at"])) - datetime.now(UTC)
    assert timedelta(minutes=59) < ends <= timedelta(hours=1)
    token = await busy.run("token", imported["connection_id"])
    assert token.out == f"{minted.access_token}\n"
    refreshed = await busy.run("refresh", imported["connection_id"])
    assert refreshed.code == 0


async def test_the_end_of_an_imported_token_may_be_given_as_an_option(
    world: World, busy: Terminal
) -> None:
    minted = await world.sandbox.mint(world.client_id)
    given = json.dumps({"access_token": minted.access_token})
    words = ("connect", world.slug, *WORDS, "--expires-at", "2030-01-01T00:00:00Z")
    imported = await busy.run(*words, stdin=given)
    assert imported.code == 0, imported.err
    assert "ends 2030-01-01 00:00:00 UTC and cannot be refreshed" in imported.out


async def test_an_import_that_had_ended_already_was_a_success(world: World, busy: Terminal) -> None:
    """Bug: exit code 0, for a connection that was EXPIRED at once."""
    given = '{"access_token": "mlcanary-a", "expires_at": "2026-01-01T00:00:00Z"}'
    done = await busy.run("connect", world.slug, *WORDS, stdin=given)
    assert done.code == 1
    assert "EXPIRED since" in done.out
    assert "The user must act." in done.out


async def test_an_import_is_refused_for_an_unknown_provider_or_a_second_time(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    given = '{"access_token": "mlcanary-a"}'
    unknown, second = await asyncio.gather(
        busy.fails("connect", "nowhere", *WORDS, stdin=given),
        busy.fails("connect", world.slug, *WORDS, "--id", view.connection_id, stdin=given),
    )
    assert "unknown provider 'nowhere'" in unknown
    assert "exists already" in second


async def test_what_is_no_credentials_is_refused_and_never_echoed(terminal: Terminal) -> None:
    async def refused(given: str, why: str) -> None:
        assert why in await terminal.fails("connect", "sandbox", *WORDS, stdin=given)

    await asyncio.gather(*(refused(given, why) for given, why in ROTTEN.values()))


@pytest.mark.parametrize("at", ["tomorrow", "2027-01-01T00:00:00"])
async def test_an_end_that_is_no_instant_is_wrong_usage(terminal: Terminal, at: str) -> None:
    done = await terminal.run("connect", "sandbox", *WORDS, "--expires-at", at)
    assert (done.code, done.out) == (2, "")
