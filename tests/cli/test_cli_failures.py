"""What is not there or not right is said in one line, with exit code 1, and never a traceback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from storage import schema
from storage.keyring import new_key
from tests.cli.terminal import Terminal, bare_environment, database_url
from tests.world import World, administrator

NOWHERE = "postgresql+asyncpg://moorline:mlcanary-password@127.0.0.1:1/nowhere"


async def test_an_unknown_connection_is_told_by_whatever_command(busy: Terminal) -> None:
    connection_id = uuid4()
    commands = ("token", "disconnect")
    lines = await asyncio.gather(
        *(busy.fails(command, connection_id) for command in commands),
        busy.fails("rename", connection_id, "x"),
        busy.fails("authorize", connection_id, "http://127.0.0.1/callback?state=a&code=b"),
    )
    assert set(lines) == {f"Error: no connection {connection_id}\n"}


async def test_a_connection_is_begun_once_and_with_a_known_provider(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    words = ("connect", world.slug, "--user", world.user_id, "--no-wait")
    second, unknown, elsewhere = await asyncio.gather(
        busy.fails(*words, "--id", view.connection_id),
        busy.fails("connect", "nowhere", "--user", world.user_id),
        busy.fails("authorize", view.connection_id, "http://127.0.0.1/callback?state=a&code=b"),
    )
    assert f"connection {view.connection_id} exists already" in second
    assert "unknown provider 'nowhere'; clients and workers alike read more" in unknown
    assert "belongs to no authorization that was begun here" in elsewhere


async def test_keys_that_are_missing_short_or_not_there_are_named_and_never_shown(
    terminal: Terminal,
) -> None:
    async def said(keys: str | None) -> str:
        return await terminal.fails("token", uuid4(), MOORLINE_KEYS=keys)

    missing, short, twice, file = await asyncio.gather(
        said(None),
        said("k1:bWxjYW5hcnk="),
        said(",".join([new_key("k1")] * 2)),
        said("file:/nowhere/keys"),
    )
    assert "MOORLINE_KEYS is not set" in missing
    assert "the key 'k1' has 8 bytes, not 32" in short
    assert "the key id 'k1' stands there twice" in twice
    assert "the key file /nowhere/keys" in file


async def test_a_key_that_we_do_not_have_is_named(world: World, busy: Terminal) -> None:
    view = await world.connected()
    line = await busy.fails("token", view.connection_id, MOORLINE_KEYS=new_key("other"))
    assert "the key 'test' is not in the keyring; `moorline doctor`" in line


async def test_reading_and_leasing_go_on_while_temporal_is_away(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    away = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    shown, token, refreshed, connected = await asyncio.gather(
        busy.run("show", view.connection_id, **away),
        busy.run("token", view.connection_id, **away),
        busy.fails("refresh", view.connection_id, **away),
        busy.fails("connect", world.slug, "--user", world.user_id, **away),
    )
    assert (shown.code, token.code) == (0, 0)
    assert refreshed == connected == "Error: Temporal does not answer at 127.0.0.1:1\n"


async def test_a_database_that_is_away_is_said_without_its_password(terminal: Terminal) -> None:
    commands = (("migrate",), ("token", uuid4()), ("worker",))
    lines = await asyncio.gather(
        *(terminal.fails(*words, MOORLINE_DATABASE_URL=NOWHERE) for words in commands)
    )
    assert set(lines) == {"Error: the database does not answer\n"}


async def test_a_database_of_another_shape_is_refused_with_the_command_that_mends_it(
    world: World, terminal: Terminal
) -> None:
    async with _database(world) as url:
        empty = await terminal.fails("list", MOORLINE_DATABASE_URL=url)
        assert "the database has no tables yet: run `moorline migrate`" in empty
        migrated = await terminal.run("migrate", MOORLINE_DATABASE_URL=url)
        assert f"at revision {schema.newest_revision()}, the newest" in migrated.out
        await _execute(url, "DROP TABLE credentials CASCADE")
        half = await terminal.fails("worker", MOORLINE_DATABASE_URL=url)
        assert "but lacks credentials" in half
        await _execute(url, "UPDATE alembic_version SET version_num = '9999'")
        newer = await asyncio.gather(
            terminal.fails("list", MOORLINE_DATABASE_URL=url),
            terminal.fails("migrate", MOORLINE_DATABASE_URL=url),
        )
        assert all("newer than this program: upgrade Moorline" in line for line in newer)
        await _execute(url, "DELETE FROM alembic_version")
        assert "tables" in await terminal.fails("migrate", MOORLINE_DATABASE_URL=url)


async def test_a_taken_port_is_named_and_nothing_is_begun(
    world: World, busy: Terminal, port: int
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        line = await busy.fails("connect", world.slug, "--user", world.user_id)
    assert f"port {port} on 127.0.0.1 is taken" in line
    assert "--no-wait" in line
    assert await world.connections.list(user_id=world.user_id) == []


async def test_a_worker_with_another_redirect_address_is_noticed(
    world: World, busy: Terminal
) -> None:
    elsewhere = {"MOORLINE_REDIRECT_URI": "http://127.0.0.1:9/callback"}
    done = await busy.run("connect", world.slug, "--user", world.user_id, **elsewhere)
    assert done.code == 1
    assert "set MOORLINE_REDIRECT_URI to the same for both" in done.err
    public = {"MOORLINE_REDIRECT_URI": "https://example.org/callback"}
    line = await busy.fails("connect", world.slug, "--user", world.user_id, **public)
    assert "--no-wait" in line


async def test_where_nothing_is_set_the_setting_is_named(tmp_path: Path) -> None:
    bare = Terminal(bare_environment(), tmp_path)
    lines = await asyncio.gather(*(bare.fails(word) for word in ("list", "worker", "gateway")))
    assert set(lines) == {
        "Error: MOORLINE_DATABASE_URL: Field required (is `moorline dev` running?)\n"
    }
    stored = {"MOORLINE_DATABASE_URL": "postgresql+asyncpg://h/d"}
    assert "MOORLINE_KEYS is not set" in await bare.fails("gateway", **stored)
    wrong = await bare.fails("list", MOORLINE_DATABASE_URL="mysql://mlcanary@h/d")
    assert wrong == "Error: MOORLINE_DATABASE_URL: must begin with postgresql+asyncpg://\n"


async def test_a_broken_temporal_configuration_is_not_quoted(
    world: World, terminal: Terminal
) -> None:
    file = world.folder / "temporal.toml"
    file.write_text('[profile.default]\napi_key = "mlcanary-api-key\n')
    line = await terminal.fails("setup", TEMPORAL_CONFIG_FILE=str(file))
    assert "line 2" in line


async def test_a_bug_is_told_by_its_type_and_shown_only_when_it_is_asked_for(
    world: World, terminal: Terminal
) -> None:
    await _execute(database_url(world), "ALTER TABLE connections RENAME COLUMN alias TO a")
    quiet, loud = await asyncio.gather(
        terminal.run("list"), terminal.run("list", MOORLINE_LOG_LEVEL="DEBUG")
    )
    assert (quiet.code, loud.code) == (1, 1)
    assert quiet.err.startswith("Error: unexpected error: ProgrammingError at ")
    assert quiet.err.count("\n") == 1
    assert "Traceback" in loud.err


@asynccontextmanager
async def _database(world: World) -> AsyncIterator[str]:
    """An empty database of the test's own."""
    name = f"{world.slug}_empty"
    async with administrator(world.servers) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(database_url(world))._replace(path=f"/{name}").geturl()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(statement)
    await connection.close()
