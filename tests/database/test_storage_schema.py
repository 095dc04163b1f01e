"""Migrations: from nothing to the tables' shape, once, whatever is started twice, or refused."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from domain.errors import NotConfigured
from storage import schema
from storage.database import Database, run
from tests.stored import Stored
from tests.world import Servers, administrator

SHAPE = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default,
               is_identity, identity_generation, character_maximum_length
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
          AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2
    """,
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2
    """,
}
SECOND_MIGRATION = '''
"""One more."""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("of_the_future", sa.Text()))
'''


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[Database]:
    name = f"e{secrets.token_hex(6)}"
    async with administrator(servers) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    address, _, _ = servers.database_url.rpartition("/")
    database = Database(f"{address}/{name}")
    try:
        yield database
    finally:
        await database.close()


async def shape(database: Database) -> dict[str, list[tuple[object, ...]]]:
    async with database.transaction() as session:
        return {
            name: [tuple(row) for row in await run(session, query, {})]
            for name, query in SHAPE.items()
        }


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")  # SQLAlchemy does not know it
async def test_migrating_from_nothing_gives_what_the_tables_say(empty: Database) -> None:
    assert await schema.migrate(empty) == schema.newest_revision()
    await schema.check(empty)

    def differences(connection: Connection) -> object:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, SQLModel.metadata)

    async with empty.transaction() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_every_column_constraint_and_index_is_the_tables(
    alone: Stored, empty: Database
) -> None:
    async with empty.transaction() as session:
        connection = await session.connection()
        await connection.run_sync(SQLModel.metadata.create_all)
    made, migrated = await shape(empty), await shape(alone.database)
    for name in SHAPE:
        assert migrated[name] == made[name]
        assert len(made[name]) > 10


async def test_migrating_again_changes_nothing(alone: Stored) -> None:
    connection_id = await alone.active()
    before = await shape(alone.database)
    for _ in range(2):
        await schema.migrate(alone.database)
    assert await shape(alone.database) == before
    assert (await alone.secret(connection_id))["access_token"].reveal() == "mlcanary-at"


async def test_five_migrations_at_once_happen_one_after_the_other(empty: Database) -> None:
    databases = [Database(str(empty.engine.url.render_as_string(False))) for _ in range(5)]
    done = await asyncio.gather(*(schema.migrate(database) for database in databases))
    for database in databases:
        await database.close()
    assert set(done) == {schema.newest_revision()}
    await schema.check(empty)


async def test_a_database_without_tables_is_to_be_migrated(empty: Database) -> None:
    with pytest.raises(NotConfigured, match="run `moorline migrate`"):
        await schema.check(empty)


async def test_an_older_database_is_to_be_migrated_and_then_fits(
    alone: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = schema.newest_revision()
    of_the_future = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, of_the_future)
    (of_the_future / "versions" / "9999_one_more.py").write_text(
        SECOND_MIGRATION.format(before=old)
    )
    monkeypatch.setattr(schema, "MIGRATIONS", of_the_future)
    with pytest.raises(NotConfigured, match=f"at revision {old}, this program needs 9999"):
        await schema.check(alone.database)
    connection_id = await alone.active()
    assert await schema.migrate(alone.database) == "9999"
    await schema.check(alone.database)
    assert (await alone.secret(connection_id))["access_token"].reveal() == "mlcanary-at"
    monkeypatch.undo()
    with pytest.raises(NotConfigured, match="newer than this program"):
        await schema.check(alone.database)


async def test_bug_migrating_a_newer_database_was_an_error_of_alembics(alone: Stored) -> None:
    await alone.change("UPDATE alembic_version SET version_num = '9999'")
    for act in (schema.check, schema.migrate):
        with pytest.raises(NotConfigured, match="revision 9999, newer than this program"):
            await act(alone.database)
    assert await alone.value("SELECT version_num FROM alembic_version") == "9999"


async def test_missing_tables_are_named(alone: Stored) -> None:
    await alone.change("DROP TABLE orphans")
    await alone.change("DROP TABLE refresh_journal")
    with pytest.raises(NotConfigured, match="lacks orphans, refresh_journal"):
        await schema.check(alone.database)


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, broken)
    migration = SECOND_MIGRATION.format(before=schema.newest_revision())
    (broken / "versions" / "9999_broken.py").write_text(f"{migration}    raise ValueError\n")
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(ValueError):
        await schema.migrate(empty)
    async with empty.transaction() as session:
        tables = await session.exec(
            text("SELECT count(*) FROM pg_tables WHERE schemaname='public'")
        )  # type: ignore[call-overload]
        assert tables.scalar_one() == 0
