"""The token endpoint: codes, client authentication, and the errors of RFC 6749."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import httpx
import pytest

from providers.sandbox.clients import Registration

if TYPE_CHECKING:
    from tests.http.conftest import App


def refused(answer: httpx.Response, error: str, status: int = 400) -> bool:
    return (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_code_is_exchanged_for_tokens(app: App) -> None:
    answer = await app.exchange(await app.code())
    tokens = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert tokens["access_token"].startswith("mlcanary-at-")
    assert tokens["refresh_token"].startswith("mlcanary-rt-")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == "profile files"
    assert (await app.me(tokens["access_token"])).json()["user"] == "alice"


async def test_a_code_needs_its_verifier(app: App) -> None:
    code = await app.code()
    assert refused(await app.exchange(code, code_verifier=""), "invalid_request")
    assert refused(await app.exchange(code, code_verifier="short"), "invalid_request")
    other = secrets.token_urlsafe(48)
    assert refused(await app.exchange(code, code_verifier=other), "invalid_grant")
    assert (await app.exchange(code)).status_code == 200


async def test_a_code_is_bound_to_its_redirect_address_and_client(app: App) -> None:
    code = await app.code()
    elsewhere = "http://127.0.0.1:5152/callback"
    assert refused(await app.exchange(code, redirect_uri=elsewhere), "invalid_grant")
    stranger = httpx.BasicAuth("moorline-dev", "mlcanary-secret-dev")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri}
    form["code_verifier"] = app.verifier
    assert refused(await app.http.post("/token", data=form, auth=stranger), "invalid_grant")


async def test_a_replayed_code_ends_the_tokens_of_its_first_exchange(app: App) -> None:
    code = await app.code()
    first = (await app.exchange(code)).json()
    assert refused(await app.exchange(code), "invalid_grant")
    assert (await app.me(first["access_token"])).status_code == 401
    again = await app.refresh(first["refresh_token"])
    assert refused(again, "invalid_grant")
    assert "error_subtype" not in again.json()
    replay = await app.sandbox.logged(
        lambda entry: entry.presented == "code_replayed" and entry.client_id == app.client_id
    )
    assert replay.grant_id is not None
    grant = await app.sandbox.grant(replay.grant_id)
    assert (grant.live, grant.revoked_by) == (False, "code_replay")


async def test_a_client_may_authenticate_in_the_body(app: App) -> None:
    minted = await app.mint()
    form = {"grant_type": "refresh_token", "refresh_token": minted.refresh_token or ""}
    form |= {"client_id": app.client_id, "client_secret": app.secret}
    assert (await app.http.post("/token", data=form)).status_code == 200


async def test_basic_credentials_are_form_urlencoded_before_they_are_joined(app: App) -> None:
    client_id, secret = "odd:id%", "s:e c+r%t"
    registration = Registration(secret=secret, redirect_uris=["http://127.0.0.1/callback"])
    await app.sandbox.register(quote_plus(client_id), registration)
    minted = await app.sandbox.mint(client_id)
    form = {"grant_type": "refresh_token", "refresh_token": minted.refresh_token or ""}
    encoded = httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
    assert (await app.http.post("/token", data=form, auth=encoded)).status_code == 200


async def test_a_wrong_secret_is_invalid_client_and_leaves_the_grant_alone(app: App) -> None:
    minted = await app.mint()
    await app.sandbox.change_secret(app.client_id, "another")
    answer = await app.refresh(minted.refresh_token)
    assert refused(answer, "invalid_client", 401)
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert (await app.sandbox.grant(minted.grant_id)).live


@pytest.mark.parametrize("authorization", ["Basic !!!", "Basic bm9jb2xvbg==", "Bearer x"])
async def test_an_unreadable_authorization_header_is_invalid_client(
    app: App, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    answer = await app.http.post("/token", data={"grant_type": "refresh_token"}, headers=headers)
    assert refused(answer, "invalid_client", 401)


async def test_two_ways_of_client_authentication_at_once_are_refused(app: App) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_secret": app.secret}
    assert refused(await app.post("/token", form), "invalid_request")
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "moorline-dev"}
    assert refused(await app.post("/token", form), "invalid_request")


async def test_a_confidential_client_without_its_secret_is_refused(app: App) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": app.client_id}
    assert refused(await app.http.post("/token", data=form), "invalid_client", 401)
    nobody = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert refused(await app.http.post("/token", data=nobody), "invalid_client", 401)


async def test_a_public_client_gives_its_id_only(app: App) -> None:
    minted = await app.sandbox.mint("moorline-public")
    form = {"grant_type": "refresh_token", "refresh_token": minted.refresh_token or ""}
    form["client_id"] = "moorline-public"
    assert (await app.http.post("/token", data=form)).status_code == 200
    form["client_secret"] = "made up"
    assert refused(await app.http.post("/token", data=form), "invalid_client", 401)


async def test_repeated_and_missing_parameters_are_invalid_requests(app: App) -> None:
    assert refused(await app.post("/token", {}), "invalid_request")
    assert refused(await app.refresh(""), "invalid_request")
    body = "grant_type=refresh_token&refresh_token=a&refresh_token=a"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await app.http.post("/token", content=body, headers=headers, auth=app.basic)
    assert refused(answer, "invalid_request")


async def test_json_is_not_a_form(app: App) -> None:
    answer = await app.http.post("/token", json={"grant_type": "refresh_token"}, auth=app.basic)
    assert refused(answer, "invalid_request")


async def test_other_grant_types_and_methods_are_not_offered(app: App) -> None:
    answer = await app.post("/token", {"grant_type": "password"})
    assert refused(answer, "unsupported_grant_type")
    assert (await app.http.get("/token")).status_code == 405


async def test_scope_may_be_narrowed_and_never_widened(app: App) -> None:
    minted = await app.mint("profile files")
    wider = await app.refresh(minted.refresh_token, scope="profile mail")
    assert refused(wider, "invalid_scope")
    narrowed = (await app.refresh(minted.refresh_token, scope="files")).json()
    assert narrowed["scope"] == "files"
    assert (await app.me(narrowed["access_token"])).json()["scope"] == "files"
    assert (await app.refresh(narrowed["refresh_token"])).json()["scope"] == "profile files"


async def test_behaviour_decides_what_a_token_answer_says(app: App) -> None:
    await app.behave(state_expires_in=False, announce_refresh_expiry=True, refresh_ttl_s=900)
    answer = (await app.exchange(await app.code())).json()
    assert "expires_in" not in answer
    assert answer["refresh_token_expires_in"] in (899, 900)
    await app.behave(issue_refresh_token=False, access_ttl_s=5, state_expires_in=True)
    answer = (await app.exchange(await app.code())).json()
    assert "refresh_token" not in answer
    assert answer["expires_in"] == 5


async def test_a_refused_body_of_the_control_api_is_not_repeated(app: App) -> None:
    answer = await app.http.put("/_sandbox/clients/x", json={"secret": "canary", "typo": "canary"})
    assert answer.status_code == 422
    assert "canary" not in answer.text


async def test_the_control_api_wants_json_so_that_no_other_web_page_can_use_it(app: App) -> None:
    body = '{"endpoint": "token", "kind": "drop"}'
    answer = await app.http.post("/_sandbox/faults", content=body)
    assert answer.status_code == 422
