"""Bringing a database to the shape of ``storage.tables``, and refusing one that is not.

A migration is one transaction under an advisory lock: it happens whole or not at all, and two
that are started at once happen one after the other.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from domain.errors import NotConfigured
from storage import finance_tables as finance_tables  # their tables belong to the shape, too
from storage import gateway_tables as gateway_tables
from storage.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x4D4F4F52  # "MOOR"


async def migrate(database: Database) -> str:
    """Upgrade to the newest revision; answers which one that is.

    Raises:
        NotConfigured: the database is newer than this program, or lacks its revision.
    """
    patient = database.without_statement_timeout()
    try:
        async with patient.transaction() as session:
            connection = await session.connection()
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await patient.close()
    return newest_revision()


async def check(database: Database) -> None:
    """Refuse to work on a database of another shape.

    Raises:
        NotConfigured: it was never migrated, is older or newer than this program, or lacks tables.
    """
    async with database.transaction() as session:
        connection = await session.connection()
        revision, missing = await connection.run_sync(_inspect)
    if revision is None:
        raise NotConfigured("the database has no tables yet: run `moorline migrate`")
    _refuse_newer(revision)
    if revision != newest_revision():
        raise NotConfigured(
            f"the database is at revision {revision}, this program needs {newest_revision()}: "
            "run `moorline migrate`"
        )
    if missing:
        raise NotConfigured(
            f"the database says it is at revision {revision} but lacks {', '.join(missing)}: "
            "restore it from a backup, or drop it and run `moorline migrate`"
        )


def newest_revision() -> str:
    """The revision this program is written for."""
    head = _scripts().get_current_head()
    assert head is not None  # there is at least one migration
    return head


def _refuse_newer(revision: str) -> None:
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise NotConfigured(
            f"the database is at revision {revision}, newer than this program: upgrade Moorline"
        )


def _upgrade(connection: Connection) -> None:
    revision, missing = _inspect(connection)
    if revision is not None:
        _refuse_newer(revision)
    elif len(missing) < len(SQLModel.metadata.tables):
        raise NotConfigured(
            "the database holds tables of ours and does not say at which revision: restore it "
            "from a backup, or drop it and run `moorline migrate`"
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _inspect(connection: Connection) -> tuple[str | None, list[str]]:
    revision = MigrationContext.configure(connection).get_current_revision()
    present = set(inspect(connection).get_table_names())
    return revision, sorted(set(SQLModel.metadata.tables) - present)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
