"""Sealed secrets are swapped between connections or cut: none opens, and no other minds."""

from uuid import UUID

import pytest

from domain.errors import NotFresh, StorageFault
from domain.outcomes import Outcome
from domain.status import ConnectionStatus
from storage.connections import credentials_of
from tests.world import World

SWAPPED = """
UPDATE credentials SET {what} FROM (SELECT * FROM credentials) AS other
WHERE other.connection_id <> credentials.connection_id
  AND credentials.connection_id IN ('{first}', '{second}')
  AND other.connection_id IN ('{first}', '{second}')
"""
DAMAGES = {
    "secrets of two rows swapped": SWAPPED.replace("{what}", "sealed = other.sealed"),
    "with the key they name": SWAPPED.replace(
        "{what}", "sealed = other.sealed, data_key_id = other.data_key_id"
    ),
    "cut short": "UPDATE credentials SET sealed = substr(sealed, 1, length(sealed) - 1) "
    "WHERE connection_id IN ('{first}', '{second}')",
    "cut to nothing": "UPDATE credentials SET sealed = '' "
    "WHERE connection_id IN ('{first}', '{second}')",
    "wraps of two data keys swapped": SWAPPED.replace("{what}", "wrapped = other.wrapped").replace(
        "credentials", "data_keys"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_what_does_not_belong_where_it_stands_is_a_storage_fault_there_and_nowhere_else(
    living: World, damage: str
) -> None:
    """Bug: swapped with the data key it names, another connection's token was handed out."""
    first, second, other = [await living.imported() for _ in range(3)]
    await living.damage(damage.format(first=first.connection_id, second=second.connection_id))
    for view in (first, second):
        with pytest.raises(StorageFault):
            await living.connections.lease(view.connection_id)
        kept = await sealed(living, view.connection_id)
        with pytest.raises(NotFresh, match="do not open"):
            await living.connections.refresh(view.connection_id)
        shown = await living.connections.view(view.connection_id)
        assert shown.status is ConnectionStatus.ACTIVE
        assert shown.trouble is not None
        assert shown.trouble.cause is Outcome.STORAGE_FAULT
        assert await sealed(living, view.connection_id) == kept  # for whoever looks into it
    assert await living.refreshes() == []
    assert (await living.connections.lease(other.connection_id)).generation == 1
    again = await living.connections.refresh(other.connection_id)
    assert (again.generation, again.trouble) == (2, None)


async def sealed(world: World, connection_id: UUID) -> bytes | None:
    async with world.database.transaction() as session:
        return (await credentials_of(session, connection_id)).sealed
