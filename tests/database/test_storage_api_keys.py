"""API keys: what was made is good until it is revoked, and nothing else ever is."""

from datetime import timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotFound
from domain.roles import Role
from domain.secret import Secret
from storage import api_keys
from storage.gateway_tables import ApiKeyRow
from tests.stored import AT, Stored

ID = "0123456789ab"


async def made(stored: Stored, role: Role = Role.APP) -> tuple[str, str]:
    """A new key: its id, and the key."""
    async with stored.database.transaction() as session:
        row, key = api_keys.create(session, role, "a test's", AT)
        return row.id, key.reveal()


async def verified(stored: Stored, key: str) -> ApiKeyRow | None:
    async with stored.database.transaction() as session:
        return await api_keys.verify(session, Secret(key))


async def listed(session: AsyncSession) -> list[str]:
    return [row.id for row in await api_keys.all_keys(session)]


@pytest.mark.parametrize("role", Role)
async def test_a_key_is_good_as_it_was_made(stored: Stored, role: Role) -> None:
    key_id, key = await made(stored, role)
    row = await verified(stored, key)
    assert row is not None
    assert (row.id, row.role, row.created_at, row.revoked_at) == (key_id, role, AT, None)
    assert len(row.hash) == 32
    assert key.encode() not in row.hash


async def test_whatever_differs_from_the_key_is_not_good(stored: Stored) -> None:
    key_id, key = await made(stored)
    _, other = await made(stored)
    secret = key.removeprefix(f"moorline_{key_id}_")
    theirs = other.split("_", maxsplit=2)[2]
    wrong = [
        key[:-1],
        f"{key}x",
        f"{key}\n",
        f"{key}\0",
        f" {key}",
        key.upper(),
        secret,
        f"{key_id}_{secret}",
        f"other_{key_id}_{secret}",
        f"_{key_id}_{secret}",
        f"moorline_{key_id}_{theirs}",
        f"moorline_{key_id}_",
        f"moorline_{key_id}",
    ]
    for presented in wrong:
        assert await verified(stored, presented) is None, presented
    assert await verified(stored, key) is not None


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "_",
        "__",
        "moorline",
        f"moorline_{ID}_secret",
        f"moorline_{ID}_\0",
        f"moorline_{ID[:-1]}\0_secret",
        "\0",
        "moorline_ключ_🔑",
        "moorline_\ud800_\udfff",
        f"moorline_{ID}_\udfff",
        "moorline_' OR true --_x",
        "moorline_%_x",
        "x" * 1_000_000,
        f"moorline_{ID}_{'x' * 1_000_000}",
        f"moorline_{'0' * 1_000_000}_x",
    ],
    ids=range(16),
)
async def test_what_is_no_key_is_not_good(stored: Stored, presented: str) -> None:
    assert await verified(stored, presented) is None


async def test_a_revoked_key_is_not_good_and_stays_revoked_since_then(stored: Stored) -> None:
    key_id, key = await made(stored)
    _, other = await made(stored)
    for at in (AT, AT + timedelta(hours=1)):
        async with stored.database.transaction() as session:
            assert (await api_keys.revoke(session, key_id, at)).revoked_at == AT
        assert await verified(stored, key) is None
    assert await verified(stored, other) is not None


async def test_a_key_that_is_not_there_cannot_be_revoked(stored: Stored) -> None:
    for key_id in (ID, "", "🔑", "\0", "x" * 1_000):
        async with stored.database.transaction() as session:
            with pytest.raises(NotFound, match="no API key") as error:
                await api_keys.revoke(session, key_id, AT)
        assert len(str(error.value)) < 100


async def test_all_keys_are_listed_revoked_ones_too(alone: Stored) -> None:
    first, _ = await made(alone)
    async with alone.database.transaction() as session:
        assert await listed(session) == [first]
        await api_keys.revoke(session, first, AT)
    second, _ = await made(alone)
    async with alone.database.transaction() as session:
        assert sorted(await listed(session)) == sorted([first, second])
