"""Rotating the key that wraps data keys: in batches, beside everything else, nothing lost."""

import asyncio
from uuid import UUID

import pytest

from domain.errors import StorageFault
from storage import data_keys
from storage.database import run
from storage.keyring import Keyring, new_key
from storage.tables import DataKeyRow
from storage.vault import Vault
from tests.stored import Stored, keep_wrapped

OLD, NEW = new_key("old"), new_key("new")
BEFORE = Vault(Keyring.parse(OLD, "keys"))
PROMOTED = Vault(Keyring.parse(f"{NEW},{OLD}", "keys"))
RETIRED = Vault(Keyring.parse(NEW, "keys"))
EVERYTHING_BUT_WRAPS = """
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (
    SELECT to_jsonb(c) AS t FROM credentials c
    UNION ALL SELECT to_jsonb(c) FROM connections c
    UNION ALL SELECT to_jsonb(e) FROM events e
    UNION ALL SELECT to_jsonb(j) FROM refresh_journal j
    UNION ALL SELECT to_jsonb(o) FROM orphans o
    UNION ALL SELECT to_jsonb(a) FROM authorization_attempts a
    UNION ALL SELECT to_jsonb(k) - 'key_id' - 'wrapped' FROM data_keys k
) AS everything
"""


@pytest.fixture
def old(alone: Stored) -> Stored:
    """As it was before the new key was promoted."""
    alone.vault = BEFORE
    return alone


async def many(stored: Stored, number: int) -> list[UUID]:
    """Data keys of connections that are yet to be born, wrapped under the old key."""
    wrapped = [BEFORE.new_data_key(UUID(int=each)) for each in range(1, number + 1)]
    await keep_wrapped(stored.database, wrapped)
    return [each.connection_id for each in wrapped]


async def counts(stored: Stored) -> dict[str, int]:
    async with stored.database.transaction() as session:
        return await data_keys.count_by_key(session)


async def fingerprint(stored: Stored) -> str:
    return str(await stored.value(EVERYTHING_BUT_WRAPS))


async def test_keys_are_brought_under_the_new_one_a_hundred_at_a_time(old: Stored) -> None:
    await many(old, 230)
    assert await counts(old) == {"old": 230}
    done = [await data_keys.rewrap_batch(old.database, PROMOTED) for _ in range(4)]
    assert done == [100, 100, 30, 0]
    assert await counts(old) == {"new": 230}


async def test_each_batch_stands_by_itself_and_the_next_one_goes_on(old: Stored) -> None:
    connections = await many(old, 150)
    await data_keys.rewrap_batch(old.database, PROMOTED)
    assert await counts(old) == {"old": 50, "new": 100}
    async with old.database.transaction() as session:
        for connection_id in connections:  # half under each key, all of them readable
            wrapped = await data_keys.find(session, connection_id)
            assert wrapped is not None
            PROMOTED.unwrap(wrapped)
    await data_keys.rewrap_batch(old.database, PROMOTED)
    assert await counts(old) == {"new": 150}


async def test_a_batch_that_is_broken_off_leaves_all_as_it_was(old: Stored) -> None:
    await many(old, 20)
    async with old.database.transaction() as session:
        await run(session, "LOCK TABLE data_keys IN SHARE MODE", {})
        task = asyncio.ensure_future(data_keys.rewrap_batch(old.database, PROMOTED))
        await old.somebody_waits()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await counts(old) == {"old": 20}
    assert await data_keys.rewrap_batch(old.database, PROMOTED) == 20


async def test_nothing_but_wraps_is_touched(old: Stored) -> None:
    for _ in range(3):
        connection_id = await old.active()
        await old.attempt(connection_id)
        await old.claimed(connection_id)
    before = await fingerprint(old)
    assert await data_keys.rewrap_batch(old.database, PROMOTED) == 3
    assert await fingerprint(old) == before
    old.vault = RETIRED
    assert (await old.secret(connection_id))["access_token"].reveal() == "mlcanary-at"


async def test_the_old_key_may_go_when_it_wraps_nothing(old: Stored) -> None:
    connection_id = await old.active()
    old.vault = RETIRED
    with pytest.raises(StorageFault):
        await old.secret(connection_id)
    await data_keys.rewrap_batch(old.database, PROMOTED)
    assert "old" not in await counts(old)
    assert (await old.secret(connection_id))["access_token"].reveal() == "mlcanary-at"


async def test_readers_and_writers_go_on_while_keys_are_rewrapped(old: Stored) -> None:
    await many(old, 300)
    living = [await old.active() for _ in range(3)]
    over = asyncio.Event()

    async def refresh_again_and_again(connection_id: UUID) -> int:
        while not over.is_set():
            await old.commit(await old.envelope(await old.claimed(connection_id)))
            assert (await old.secret(connection_id))["access_token"].reveal() == "mlcanary-at"
        return (await old.credentials(connection_id)).generation

    old.vault = PROMOTED
    writing = [asyncio.ensure_future(refresh_again_and_again(each)) for each in living]
    rewrapped = 0
    while batch := await data_keys.rewrap_batch(old.database, PROMOTED):
        rewrapped += batch
    over.set()
    assert all(generation > 1 for generation in await asyncio.gather(*writing))
    assert rewrapped == 303
    assert await counts(old) == {"new": 303}


async def test_two_at_once_share_the_work(old: Stored) -> None:
    await many(old, 250)

    async def rewrap() -> int:
        total = 0
        while batch := await data_keys.rewrap_batch(old.database, PROMOTED):
            total += batch
        return total

    assert sum(await asyncio.gather(rewrap(), rewrap(), rewrap())) == 250
    assert await counts(old) == {"new": 250}


async def test_a_key_that_is_shredded_meanwhile_stays_shredded(old: Stored) -> None:
    connection_id = await old.active()
    await asyncio.gather(old.shred(connection_id), data_keys.rewrap_batch(old.database, PROMOTED))
    await data_keys.rewrap_batch(old.database, PROMOTED)
    assert await counts(old) == {}


@pytest.mark.parametrize("spoilt", [1, 120])
async def test_bug_one_data_key_that_does_not_open_held_up_all_others(
    old: Stored, spoilt: int
) -> None:
    await many(old, 250)
    ids = "SELECT id FROM data_keys ORDER BY id LIMIT :spoilt"
    changed = await old.change(
        f"UPDATE data_keys SET wrapped = 'nothing' WHERE id IN ({ids})", spoilt=spoilt
    )
    assert changed == spoilt
    total = 0
    while batch := await data_keys.rewrap_batch(old.database, PROMOTED):
        total += batch
    assert total == 250 - spoilt
    # The old key is still counted, so that nobody takes it for unused.
    assert await counts(old) == {"old": spoilt, "new": 250 - spoilt}


async def test_a_key_that_is_in_no_keyring_is_left_alone(old: Stored) -> None:
    await many(old, 3)
    await old.change(
        "UPDATE data_keys SET key_id = 'lost' WHERE connection_id = :id", id=UUID(int=1)
    )
    assert await data_keys.rewrap_batch(old.database, PROMOTED) == 2
    assert await counts(old) == {"lost": 1, "new": 2}


async def test_a_data_key_is_made_once_however_many_ask_for_it(stored: Stored) -> None:
    connection_id = await stored.pending()
    made = await asyncio.gather(*(stored.key(connection_id) for _ in range(10)))
    assert len({key.id for key in made}) == 1
    assert all(key == made[0] for key in made)
    async with stored.database.transaction() as session:
        row = await session.get_one(DataKeyRow, made[0].id)
    assert row.connection_id == connection_id
