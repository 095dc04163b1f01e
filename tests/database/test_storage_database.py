"""A database that is away, refuses us or dies in the middle: said in our words, recovered from."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, MoorlineError, NotConfigured, Unreachable
from storage import claims, schema
from storage.claims import Claim, Purpose
from storage.connections import locked
from storage.database import Database, now, run
from tests.scripted import refusing, scripted
from tests.stored import AT, Stored
from tests.world import Servers, administrator, until


def changed(url: str, **parts: str) -> str:
    """The same database URL with another user, password, address or name."""
    split = urlsplit(url)
    user = parts.get("user", split.username)
    password = parts.get("password", split.password)
    address = parts.get("address", f"{split.hostname}:{split.port}")
    name = parts.get("name", split.path.removeprefix("/"))
    return f"{split.scheme}://{user}:{password}@{address}/{name}"


async def failure(url: str) -> MoorlineError:
    database = Database(url)
    try:
        with pytest.raises(MoorlineError) as failed:
            await schema.check(database)
        return failed.value
    finally:
        await database.close()


@pytest.mark.parametrize(
    "parts",
    [{"password": "mlcanary-wrong"}, {"user": "mlcanary-nobody"}, {"name": "mlcanary-nowhere"}],
    ids=lambda parts: next(iter(parts)),
)
async def test_a_server_that_refuses_us_is_ours_to_configure(
    stored: Stored, parts: dict[str, str]
) -> None:
    error = await failure(changed(stored.url, **parts))
    assert isinstance(error, NotConfigured)
    assert "mlcanary" not in str(error)
    assert error.__cause__ is None


async def test_a_port_where_nobody_listens_is_unreachable(stored: Stored) -> None:
    async with refusing() as url:
        error = await failure(changed(stored.url, address=url.removeprefix("http://")))
    assert isinstance(error, Unreachable)
    password = urlsplit(stored.url).password
    assert password is not None
    assert password not in str(error)


async def test_a_host_that_does_not_exist_is_unreachable(stored: Stored) -> None:
    error = await failure(changed(stored.url, address="moorline.invalid:5432"))
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize("answer", [b"", b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_server_that_is_no_postgresql_is_unreachable(stored: Stored, answer: bytes) -> None:
    async with scripted() as server:

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(8)
            writer.write(answer)

        server.script = script
        error = await failure(changed(stored.url, address=server.url.removeprefix("http://")))
    assert isinstance(error, Unreachable)


async def test_a_full_server_is_unreachable(servers: Servers, alone: Stored) -> None:
    name = alone.database.engine.url.database
    async with administrator(servers) as connection:
        await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await connection.execute("DROP ROLE IF EXISTS guest")
        await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        error = await failure(changed(alone.url, user="guest", password="guest"))
        await connection.execute("DROP ROLE guest")
    assert isinstance(error, Unreachable)


async def terminate(servers: Servers, stored: Stored, only: str = "true") -> None:
    """Connections to this database are gone, all of them as when the server is restarted."""
    async with administrator(servers) as connection:
        await connection.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND {only}",
            stored.database.engine.url.database,
        )


@pytest.fixture
async def used(alone: Stored) -> Stored:
    """A database of one's own, in which connections were open before."""
    await asyncio.gather(*(alone.value("SELECT pg_backend_pid()") for _ in range(5)))
    return alone


async def test_a_backend_that_dies_in_a_transaction_is_unreachable_and_nothing_was_done(
    servers: Servers, used: Stored
) -> None:
    connection_id = await used.active()

    async def rename() -> None:
        async with used.database.transaction() as session:
            row = await locked(session, connection_id)
            row.alias = "half done"
            await session.flush()
            await terminate(servers, used)
            await run(session, "SELECT 1", {})

    with pytest.raises(Unreachable):
        await rename()
    row = await used.connection(connection_id)  # and the pool has recovered
    assert row.alias is None


async def test_a_backend_that_dies_before_the_commit_is_unreachable(
    servers: Servers, used: Stored
) -> None:
    connection_id = await used.active()

    async def rename() -> None:
        async with used.database.transaction() as session:
            row = await locked(session, connection_id)
            row.alias = "half done"
            await terminate(servers, used)

    with pytest.raises(Unreachable):
        await rename()
    assert (await used.connection(connection_id)).alias is None


async def test_a_backend_that_dies_while_a_statement_runs_is_unreachable(
    servers: Servers, used: Stored
) -> None:
    connection_id = await used.active()
    async with used.database.transaction() as session:
        await locked(session, connection_id)
        waiting = asyncio.ensure_future(used.take(connection_id))
        await used.somebody_waits()
        await terminate(servers, used, only="wait_event_type = 'Lock'")
        with pytest.raises(Unreachable):
            await waiting
    assert isinstance(await used.take(connection_id), Claim)


async def test_every_connection_of_the_pool_recovers(servers: Servers, used: Stored) -> None:
    await terminate(servers, used)
    connection_id = await used.active()
    for _ in range(3):
        await terminate(servers, used)
        reads = await asyncio.gather(*(used.connection(connection_id) for _ in range(10)))
        assert {row.id for row in reads} == {connection_id}


async def test_a_claim_that_could_not_be_written_was_not_taken(
    servers: Servers, alone: Stored
) -> None:
    connection_id = await alone.active()
    name = alone.database.engine.url.database
    async with administrator(servers) as connection:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await terminate(servers, alone)
        with pytest.raises(Unreachable):
            await claims.take(alone.database, connection_id, Purpose.REFRESH)
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert len(await alone.journal(connection_id)) == 1
    assert isinstance(await alone.take(connection_id), Claim)


async def test_a_rule_that_is_broken_is_no_outage(stored: Stored) -> None:
    connection_id = await stored.pending()
    with pytest.raises(IntegrityError):
        await stored.pending(id=connection_id)


async def test_our_own_errors_pass_through_and_roll_back(stored: Stored) -> None:
    connection_id = await stored.active()

    async def fail() -> None:
        async with stored.database.transaction() as session:
            row = await locked(session, connection_id)
            row.alias = "half done"
            await session.flush()
            raise Conflict("no")

    with pytest.raises(Conflict):
        await fail()
    assert (await stored.connection(connection_id)).alias is None


async def test_more_callers_than_connections_wait_their_turn(stored: Stored) -> None:
    connection_id = await stored.active()
    reads = await asyncio.gather(*(stored.connection(connection_id) for _ in range(60)))
    assert len(reads) == 60


async def test_a_caller_that_gives_up_leaves_the_connection_usable(stored: Stored) -> None:
    connection_id = await stored.active()
    async with stored.database.transaction() as session:
        await locked(session, connection_id)
        for _ in range(25):  # more than the pool holds
            waiting = asyncio.ensure_future(stored.end(connection_id, AT))
            await stored.somebody_waits()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    assert (await stored.connection(connection_id)).ended_at is None


async def test_now_is_the_databases_clock(stored: Stored) -> None:
    async with stored.database.transaction() as session:
        first, second = await now(session), await now(session)
    assert first < second  # the clock, not the transaction's beginning
    assert first.utcoffset() is not None


async def test_bug_a_process_that_stood_still_in_a_transaction_kept_its_locks(
    stored: Stored,
) -> None:
    """Nobody could claim, revoke or end that connection until the process was killed."""
    connection_id = await stored.active()
    frozen = Database(stored.url)

    async def taken() -> Claim | None:
        with suppress(Unreachable):
            claim = await claims.take(stored.database, connection_id, Purpose.REVOCATION)
            return claim if isinstance(claim, Claim) else None
        return None

    async def stands_still() -> None:
        async with frozen.transaction() as session:
            await locked(session, connection_id)
            await until(taken)
            await now(session)  # it thaws, and its transaction is gone

    with pytest.raises(Unreachable):
        await stands_still()
    await frozen.close()
