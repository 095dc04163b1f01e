"""The embedded PostgreSQL: a password, loopback only, durable, and as root someone else."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import asyncpg
import pytest

from moorline.stack import PostgresServer, StackError
from moorline.stack.owners import speaking_as
from moorline.stack.ports import free_ports

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="concerns what root must do differently")


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tmp_path_factory.mktemp("state"), free_ports(1)[0]) as server:
        yield server


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def fetch(url: str, query: str) -> object:
    connection = await connect(url)
    try:
        value: object = await connection.fetchval(query)
    finally:
        await connection.close()
    return value


async def test_it_is_a_utf8_database_that_flushes_to_disk(postgres: PostgresServer) -> None:
    connection = await connect(postgres.database_url)
    shown = {
        name: await connection.fetchval(f"SHOW {name}")
        for name in ("server_encoding", "fsync", "synchronous_commit", "data_checksums")
    }
    await connection.close()
    assert shown == {
        "server_encoding": "UTF8",
        "fsync": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
    }
    assert postgres.version.startswith("18.")


async def test_nobody_comes_in_without_the_password(postgres: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(f"postgresql://moorline:guess@127.0.0.1:{postgres.port}/moorline")


async def test_a_second_database_is_made_once(postgres: PostgresServer) -> None:
    first = await postgres.create_database("another")
    assert await postgres.create_database("another") == first
    assert await fetch(first, "SELECT current_database()") == "another"


async def test_a_killed_server_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, free_ports(1)[0])
    child = await server.start()
    await fetch(server.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    child.kill()
    await child.wait()
    async with server:
        assert await fetch(server.database_url, "SELECT answer FROM kept") == 42


async def test_the_lock_file_of_a_crash_does_not_stop_it_when_the_pid_is_a_strangers(
    tmp_path: Path,
) -> None:
    server = PostgresServer(tmp_path, free_ports(1)[0])
    child = await server.start()
    os.kill(child.pid, SIGKILL)
    await child.wait()
    data = tmp_path / "postgres"
    stranger = await asyncio.create_subprocess_exec(*speaking_as(data), "sleep", "60")
    lock = data / "postmaster.pid"
    lock.write_text(f"{stranger.pid}\n" + lock.read_text().partition("\n")[2])
    async with server:
        assert await fetch(server.database_url, "SELECT 1") == 1
    stranger.kill()
    await stranger.wait()


async def test_an_initialisation_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.unfinished").mkdir()
    (tmp_path / "postgres.unfinished" / "PG_VERSION").write_text("18")
    async with PostgresServer(tmp_path, free_ports(1)[0]) as server:
        assert await fetch(server.database_url, "SELECT 1") == 1
    assert not (tmp_path / "postgres.unfinished").exists()


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path, free_ports(1)[0]):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(StackError, match="incompatible with server"):
        await PostgresServer(tmp_path, free_ports(1)[0]).start()


async def test_a_password_that_does_not_fit_is_said_at_once(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path, free_ports(1)[0]):
        pass
    (tmp_path / "postgres.password").write_text("another")
    with pytest.raises(StackError, match="does not hold the password"):
        await PostgresServer(tmp_path, free_ports(1)[0]).start()


async def test_the_users_own_postgres_variables_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "example.invalid")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGCLIENTENCODING", "no such encoding")
    async with PostgresServer(tmp_path, free_ports(1)[0]) as server:
        assert server.version


async def test_secrets_and_data_are_for_their_owner_alone(postgres: PostgresServer) -> None:
    data = Path(str(await fetch(postgres.database_url, "SHOW data_directory")))
    assert os.stat(data.parent / "postgres.password").st_mode & 0o077 == 0
    assert os.stat(data).st_mode & 0o077 == 0


@ROOT_ONLY
async def test_root_lends_it_another_user(postgres: PostgresServer) -> None:
    data = Path(str(await fetch(postgres.database_url, "SHOW data_directory")))
    pid = (data / "postmaster.pid").read_text().partition("\n")[0]
    assert os.stat(f"/proc/{pid}").st_uid == os.stat(data).st_uid == 65534


@ROOT_ONLY
async def test_that_user_passes_a_folder_only_root_may_enter(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, 65534)
    program = tmp_path / "rooms" / "program"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o700)
    command = [*speaking_as(tmp_path / "data"), "test", "-x", str(program)]
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0


@ROOT_ONLY
async def test_data_that_was_copied_by_root_is_given_back(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path / "old", free_ports(1)[0]) as server:
        await fetch(server.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    shutil.copytree(tmp_path / "old", tmp_path / "new")  # all of it root's now
    async with PostgresServer(tmp_path / "new", free_ports(1)[0]) as server:
        assert await fetch(server.database_url, "SELECT answer FROM kept") == 42


@ROOT_ONLY
async def test_without_setpriv_root_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="install util-linux"):
        await PostgresServer(tmp_path, free_ports(1)[0]).start()
