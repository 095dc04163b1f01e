"""The authorization request: what the sandbox accepts, and whom it tells what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.http.conftest import App

LOOPBACK = "http://127.0.0.1:5151/callback"


def carried(location: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}


async def test_metadata_states_what_the_sandbox_does(app: App) -> None:
    answer = await app.http.get("/.well-known/oauth-authorization-server")
    metadata = answer.json()
    assert metadata["issuer"] == app.sandbox.base_url
    assert metadata["token_endpoint"] == f"{app.sandbox.base_url}/token"
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


async def test_an_allowed_request_leads_back_with_code_state_and_issuer(app: App) -> None:
    location = await app.sandbox.authorize(app.authorize_url())
    assert location.startswith(f"{LOOPBACK}?")
    answer = carried(location)
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["code"].startswith("mlcanary-code-")
    assert answer["state"] == "a state & more"
    assert answer["iss"] == app.sandbox.base_url


async def test_a_denied_request_leads_back_with_access_denied(app: App) -> None:
    answer = carried(await app.sandbox.authorize(app.authorize_url(), decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a state & more"
    assert answer["iss"] == app.sandbox.base_url


async def test_a_request_without_state_leads_back_without_state(app: App) -> None:
    assert "state" not in carried(await app.sandbox.authorize(app.authorize_url(state=None)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "too-short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": 'profile "quoted"'}, "invalid_scope"),
        ({"scope": "two  spaces"}, "invalid_scope"),
    ],
)
async def test_a_wrong_request_is_sent_back_with_its_error_before_any_login(
    app: App, changes: dict[str, str | None], error: str
) -> None:
    answer = await app.http.get(app.authorize_url(**changes))
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{LOOPBACK}?")
    told = carried(answer.headers["location"])
    assert told["error"] == error
    assert told["state"] == "a state & more"
    assert told["iss"] == app.sandbox.base_url
    assert carried(await app.sandbox.authorize(app.authorize_url(**changes)))["error"] == error


async def test_a_repeated_parameter_is_sent_back(app: App) -> None:
    answer = await app.http.get(app.authorize_url() + "&scope=profile")
    assert carried(answer.headers["location"])["error"] == "invalid_request"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1/callback",
        "https://app.example/back?tenant=7",
    ],
)
async def test_a_registered_redirect_is_allowed_on_any_loopback_port(
    app: App, redirect_uri: str
) -> None:
    location = await app.sandbox.authorize(app.authorize_url(redirect_uri=redirect_uri))
    assert location.startswith(redirect_uri)
    assert "code" in carried(location)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "http://127.0.0.1:5151/callback/",
        "http://127.0.0.1:5151/callback?more",
        "http://127.0.0.1:5151/Callback",
        "http://127.0.0.1:5151/",
        "http://localhost:5151/callback",
        "http://[::1]:5151/callback",
        "https://127.0.0.1:5151/callback",
        "http://127.0.0.1:x/callback",
        "http://127.0.0.1:5151@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://evil.example/callback",
        "https://app.example:444/back?tenant=7",
        "https://app.example/back?tenant=8",
        "https://app.example/back",
    ],
)
async def test_any_other_redirect_is_an_error_page_and_never_a_redirect(
    app: App, redirect_uri: str | None
) -> None:
    answer = await app.http.get(app.authorize_url(redirect_uri=redirect_uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "has not registered" in answer.text
    with pytest.raises(httpx.HTTPStatusError):
        await app.sandbox.authorize(app.authorize_url(redirect_uri=redirect_uri))


@pytest.mark.parametrize("client_id", [None, "nobody"])
async def test_an_unknown_client_is_an_error_page(app: App, client_id: str | None) -> None:
    answer = await app.http.get(app.authorize_url(client_id=client_id))
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_second_redirect_address_smuggled_in_is_an_error_page(app: App) -> None:
    url = app.authorize_url() + "&redirect_uri=http://evil.example/callback"
    assert (await app.http.get(url)).status_code == 400


@pytest.mark.parametrize(
    "redirect_uri",
    ["javascript:alert(1)", "/callback", "http://a.example/#f", "https://u@a.example/"],
)
async def test_an_unsafe_redirect_cannot_be_registered(app: App, redirect_uri: str) -> None:
    answer = await app.http.put("/_sandbox/clients/unsafe", json={"redirect_uris": [redirect_uri]})
    assert answer.status_code == 422
