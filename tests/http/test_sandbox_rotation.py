"""What refreshing does to a family of tokens, for each way of rotation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.http.conftest import App


def dead(answer: httpx.Response) -> bool:
    body = answer.json()
    named = "error_subtype" in body
    return answer.status_code == 400 and body["error"] == "invalid_grant" and not named


async def test_strict_rotation_gives_a_new_refresh_token_each_time(app: App) -> None:
    minted = await app.mint()
    second = (await app.refresh(minted.refresh_token)).json()["refresh_token"]
    third = (await app.refresh(second)).json()["refresh_token"]
    assert len({minted.refresh_token, second, third}) == 3
    grant = await app.sandbox.grant(minted.grant_id)
    assert (grant.live, grant.refreshes, grant.generation) == (True, 2, 3)


async def test_under_strict_rotation_reuse_kills_the_family(app: App) -> None:
    minted = await app.mint()
    second = (await app.refresh(minted.refresh_token)).json()
    assert dead(await app.refresh(minted.refresh_token))
    assert dead(await app.refresh(second["refresh_token"]))
    assert (await app.me(second["access_token"])).status_code == 401
    grant = await app.sandbox.grant(minted.grant_id)
    assert (grant.live, grant.revoked_by) == (False, "reuse")
    presented = [entry.presented for entry in await app.sandbox.log(grant_id=minted.grant_id)]
    assert presented == ["current", "rotated_out", "revoked", "revoked"]


async def test_a_refresh_race_under_strict_rotation_kills_the_winner_as_well(app: App) -> None:
    minted = await app.mint()
    race = await asyncio.gather(*(app.refresh(minted.refresh_token) for _ in range(2)))
    assert sorted(answer.status_code for answer in race) == [200, 400]
    assert (await app.sandbox.grant(minted.grant_id)).revoked_by == "reuse"


async def test_without_rotation_the_refresh_token_stays_and_is_not_sent_again(app: App) -> None:
    await app.behave(rotation="none")
    minted = await app.mint()
    for _ in range(3):
        answer = await app.refresh(minted.refresh_token)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()
    grant = await app.sandbox.grant(minted.grant_id)
    assert (grant.live, grant.refreshes, grant.generation) == (True, 3, 1)
    assert not any(entry.rotated for entry in await app.sandbox.log(grant_id=minted.grant_id))


async def test_in_grace_the_preceding_token_answers_a_new_pair(app: App) -> None:
    await app.behave(rotation="grace", grace_s=60)
    minted = await app.mint()
    answers = [(await app.refresh(minted.refresh_token)).json() for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 3
    for answer in answers:
        assert (await app.me(answer["access_token"])).status_code == 200
    assert (await app.refresh(answers[0]["refresh_token"])).status_code == 200
    presented = [
        entry.presented
        for entry in await app.sandbox.log(grant_id=minted.grant_id, endpoint="token")
    ]
    assert presented == ["current", "previous_in_grace", "previous_in_grace", "current"]


async def test_in_grace_the_preceding_token_kills_once_its_successor_was_used(app: App) -> None:
    await app.behave(rotation="grace", grace_s=60)
    minted = await app.mint()
    second = (await app.refresh(minted.refresh_token)).json()["refresh_token"]
    third = (await app.refresh(second)).json()["refresh_token"]
    assert dead(await app.refresh(minted.refresh_token))
    assert dead(await app.refresh(third))
    assert (await app.sandbox.grant(minted.grant_id)).revoked_by == "reuse"


async def test_in_grace_using_one_sibling_uses_up_the_others(app: App) -> None:
    await app.behave(rotation="grace", grace_s=60)
    minted = await app.mint()
    lost = (await app.refresh(minted.refresh_token)).json()["refresh_token"]
    kept = (await app.refresh(minted.refresh_token)).json()["refresh_token"]
    assert (await app.refresh(kept)).status_code == 200
    assert dead(await app.refresh(lost))
    assert (await app.sandbox.grant(minted.grant_id)).revoked_by == "reuse"


async def test_after_the_window_the_preceding_token_kills(app: App) -> None:
    await app.behave(rotation="grace", grace_s=0)
    minted = await app.mint()
    second = (await app.refresh(minted.refresh_token)).json()["refresh_token"]
    assert dead(await app.refresh(minted.refresh_token))
    assert dead(await app.refresh(second))


async def test_an_expired_refresh_token_is_refused_and_kills_nothing(app: App) -> None:
    await app.behave(refresh_ttl_s=0)
    minted = await app.mint()
    assert dead(await app.refresh(minted.refresh_token))
    (entry,) = await app.sandbox.log(grant_id=minted.grant_id)
    assert entry.presented == "expired"
    assert (await app.sandbox.grant(minted.grant_id)).revoked_by is None


async def test_only_the_client_a_token_was_issued_to_can_use_it(app: App) -> None:
    minted = await app.sandbox.mint("moorline-dev")
    assert dead(await app.refresh(minted.refresh_token))
    assert dead(await app.refresh("mlcanary-rt-never-issued"))
    assert dead(await app.refresh(minted.access_token))
    assert (await app.sandbox.grant(minted.grant_id)).live


async def test_an_imported_grant_can_start_with_an_expired_access_token(app: App) -> None:
    minted = await app.sandbox.mint(app.client_id, access_expired=True)
    assert minted.expires_in == 0
    assert (await app.me(minted.access_token)).status_code == 401
    assert (await app.refresh(minted.refresh_token)).status_code == 200
