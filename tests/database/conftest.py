"""PostgreSQL of the session's servers, in which a test has what it made: ids are never shared.

Tests that count everything, or break the database, take one of their own: ``alone``.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import settings

from storage.database import Database
from tests.stored import Stored, new_vault
from tests.world import Servers, create_database

settings.register_profile("without deadline", deadline=None)  # the machine may be busy
settings.load_profile("without deadline")


@asynccontextmanager
async def migrated(servers: Servers) -> AsyncIterator[Stored]:
    url = await create_database(servers, f"s{secrets.token_hex(6)}")
    database = Database(url)
    try:
        yield Stored(database, new_vault(), url)
    finally:
        await database.close()


@pytest.fixture(scope="session")
async def shared(servers: Servers) -> AsyncIterator[Stored]:
    async with migrated(servers) as made:
        yield made


@pytest.fixture
def stored(shared: Stored) -> Stored:
    """The shared database, and keys of one's own."""
    return Stored(shared.database, new_vault(), shared.url)


@pytest.fixture
async def alone(servers: Servers) -> AsyncIterator[Stored]:
    """A database of one's own."""
    async with migrated(servers) as made:
        yield made
