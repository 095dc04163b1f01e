"""How access ends: by the client, by the user, and what everybody sees afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.http.conftest import App


async def test_revoking_the_refresh_token_ends_the_whole_family(app: App) -> None:
    minted = await app.mint()
    answer = await app.revoke(minted.refresh_token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await app.me(minted.access_token)).status_code == 401
    refresh = await app.refresh(minted.refresh_token)
    assert refresh.json()["error"] == "invalid_grant"
    assert "error_subtype" not in refresh.json()
    grant = await app.sandbox.grant(minted.grant_id)
    assert (grant.live, grant.revoked_by) == (False, "client")


async def test_revoking_an_access_token_ends_only_that_token(app: App) -> None:
    minted = await app.mint()
    assert (await app.revoke(minted.access_token)).status_code == 200
    assert (await app.me(minted.access_token)).status_code == 401
    refreshed = (await app.refresh(minted.refresh_token)).json()
    assert (await app.me(refreshed["access_token"])).status_code == 200


async def test_revoking_twice_or_something_unknown_answers_200(app: App) -> None:
    minted = await app.mint()
    for token in (minted.refresh_token, minted.refresh_token, "never-issued"):
        assert (await app.revoke(token)).status_code == 200
    entries = await app.sandbox.log(grant_id=minted.grant_id, endpoint="revoke")
    assert [(entry.presented, entry.acted) for entry in entries] == [
        ("current", True),
        ("revoked", False),
    ]


async def test_revoking_a_rotated_out_token_ends_nothing(app: App) -> None:
    minted = await app.mint()
    newest = (await app.refresh(minted.refresh_token)).json()
    assert (await app.revoke(minted.refresh_token)).status_code == 200
    assert (await app.sandbox.grant(minted.grant_id)).live
    assert (await app.refresh(newest["refresh_token"])).status_code == 200


async def test_revoking_needs_the_client_and_its_own_token(app: App) -> None:
    form = {"token": (await app.mint()).access_token}
    assert (await app.http.post("/revoke", data=form)).status_code == 401
    foreign = await app.sandbox.mint("moorline-dev")
    assert (await app.revoke(foreign.refresh_token)).json()["error"] == "invalid_request"
    assert (await app.sandbox.grant(foreign.grant_id)).live
    assert (await app.revoke("")).json()["error"] == "invalid_request"


async def test_a_provider_without_revocation_answers_404(app: App) -> None:
    await app.behave(revocation_supported=False)
    minted = await app.mint()
    assert (await app.revoke(minted.refresh_token)).status_code == 404
    assert (await app.sandbox.grant(minted.grant_id)).live


async def test_after_the_user_took_access_away_the_refusal_says_so(app: App) -> None:
    minted = await app.mint()
    newest = (await app.refresh(minted.refresh_token)).json()
    await app.sandbox.take_away(minted.grant_id)
    refused = (await app.refresh(newest["refresh_token"])).json()
    assert (refused["error"], refused["error_subtype"]) == ("invalid_grant", "access_revoked")
    assert (await app.me(newest["access_token"])).status_code == 401
    rotated_out = (await app.refresh(minted.refresh_token)).json()
    assert rotated_out["error"] == "invalid_grant"
    assert "error_subtype" not in rotated_out
    assert (await app.sandbox.grant(minted.grant_id)).revoked_by == "user"


async def test_the_resource_says_why_it_refuses(app: App) -> None:
    missing = await app.http.get("/api/me")
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"] == 'Bearer realm="sandbox"'
    wrong = await app.me("mlcanary-at-made-up")
    assert wrong.status_code == 401
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


async def test_the_log_tells_whether_a_presented_access_token_was_good(app: App) -> None:
    minted = await app.mint()
    await app.me(minted.access_token)
    await app.sandbox.take_away(minted.grant_id)
    await app.me(minted.access_token)
    entries = await app.sandbox.log(grant_id=minted.grant_id, endpoint="api")
    assert [(entry.presented, entry.status) for entry in entries] == [
        ("live", 200),
        ("revoked", 401),
    ]
    assert entries[0].client_id == app.client_id


async def test_an_unknown_grant_or_client_is_not_found(app: App) -> None:
    for path in ("grants/none", "clients/none"):
        assert (await app.http.get(f"/_sandbox/{path}")).status_code in (404, 405)
    assert (await app.http.delete("/_sandbox/grants/none")).status_code == 404
    assert (await app.http.delete("/_sandbox/faults/none")).status_code == 404
