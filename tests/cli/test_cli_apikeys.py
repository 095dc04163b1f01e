"""``apikeys``: a key is shown once, told apart by its id, and opens nothing once it is revoked."""

import asyncio

import pytest
from sqlmodel import select

from domain.roles import Role
from domain.secret import Secret
from storage import api_keys
from storage.gateway_tables import ApiKeyRow
from tests.cli.terminal import Terminal
from tests.world import World


async def made(terminal: Terminal, role: Role, *words: str) -> dict[str, str]:
    """A new key, as programs are told of it."""
    done = await terminal.run("apikeys", "create", "--role", role, "--json", *words)
    assert (done.code, done.err) == (0, "")
    return {name: str(value) for name, value in done.object.items()}


async def verified(world: World, key: str) -> ApiKeyRow | None:
    async with world.database.transaction() as session:
        return await api_keys.verify(session, Secret(key))


async def test_a_key_of_each_role_is_good_and_only_its_hash_is_kept(
    world: World, terminal: Terminal
) -> None:
    keys = await asyncio.gather(*(made(terminal, role, "--name", f"our {role}") for role in Role))
    for role, key in zip(Role, keys, strict=True):
        row = await verified(world, key["key"])
        assert row is not None
        assert (row.id, row.role, row.name) == (key["id"], role, f"our {role}")
    async with world.database.transaction() as session:
        rows = (await session.exec(select(ApiKeyRow))).all()
    stored = "".join(str(row.model_dump()) for row in rows)
    assert len(rows) == len(Role)
    assert all(key["key"].split("_", maxsplit=2)[2] not in stored for key in keys)


async def test_a_key_is_shown_when_it_is_made_and_never_again(
    world: World, terminal: Terminal
) -> None:
    created = await terminal.run("apikeys", "create", "--role", "app", "--name", "backend")
    key = next(word for word in created.out.split() if word.startswith("moorline_"))
    row = await verified(world, key)
    assert row is not None
    assert created.out.count(key) == 1
    assert "It is not shown again" in created.out
    told, as_json = await asyncio.gather(
        terminal.run("apikeys", "list"), terminal.run("apikeys", "list", "--json")
    )
    secret = key.split("_", maxsplit=2)[2]
    for listed in (told, as_json):
        assert listed.code == 0
        assert row.id in listed.out
        assert secret not in listed.out + listed.err
    assert "backend" in told.out
    assert isinstance(as_json.json, list)
    (shown,) = as_json.json
    assert isinstance(shown, dict)
    assert shown.keys() == {"id", "role", "name", "created_at", "revoked_at"}


async def test_a_revoked_key_opens_nothing_and_says_since_when(
    world: World, terminal: Terminal
) -> None:
    key = await made(terminal, Role.ADMIN)
    revoked = await terminal.run("apikeys", "revoke", key["id"])
    assert revoked.out == f"Key {key['id']} opens nothing any more.\n"
    assert await verified(world, key["key"]) is None
    first, again = [
        (await terminal.run("apikeys", "revoke", key["id"], "--json")).object for _ in range(2)
    ]
    assert first == again
    assert first["revoked_at"] is not None


@pytest.mark.parametrize("key_id", ["0123456789ab", "🔑", "x" * 5_000, ""])
async def test_an_unknown_key_is_one_clear_line(terminal: Terminal, key_id: str) -> None:
    line = await terminal.fails("apikeys", "revoke", key_id)
    assert line.startswith("Error: no API key ")
    assert len(line) < 100


async def test_wrong_usage_makes_no_key(world: World, terminal: Terminal) -> None:
    wrong: list[tuple[str, ...]] = [("create",), ("create", "--role", "king"), ("revoke",)]
    wrong += [("create", "--role", "app", "--name", "x" * 101)]
    for done in await asyncio.gather(*(terminal.run("apikeys", *words) for words in wrong)):
        assert (done.code, done.out) == (2, "")
    async with world.database.transaction() as session:
        assert await api_keys.all_keys(session) == []
